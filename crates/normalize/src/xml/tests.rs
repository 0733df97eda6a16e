//! What a document may hold, and where its parts are.

use bytes::Bytes;
use http::HeaderValue;

use super::*;

fn read(text: impl Into<Bytes>) -> Result<Document, Error> {
    Document::read(&text.into(), None, Forbidden::Refuse)
}

fn code(text: impl Into<Bytes>) -> &'static str {
    read(text).map_or_else(|error| error.code(), |_| "fine")
}

/// Nothing that a sender declares is ever expanded or fetched.
#[test]
fn entities_and_internal_subsets_are_refused() {
    let laughs = r#"<!DOCTYPE a [<!ENTITY l "ha"><!ENTITY m "&l;&l;">]><a>&m;</a>"#;
    let file = r#"<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>"#;
    for text in [laughs, file, "<a>&x;</a>", "<a b='&x;'/>"] {
        assert_eq!(code(text), "normalize/xml-declarations", "{text}");
    }
    assert_eq!(code(r#"<!DOCTYPE a SYSTEM "http://h/a.dtd"><a/>"#), "fine");
}

/// What is not well-formed, or beyond a bound, is refused.
#[test]
fn what_is_malformed_or_too_much_is_refused() {
    let deep = format!("{}{}", "<a>".repeat(200), "</a>".repeat(200));
    let many = format!("<a>{}</a>", "<b/>".repeat(ELEMENTS_MAX));
    let attributes: String = (0..100).map(|at| format!(" a{at}=''")).collect();
    let namespaces: String = (0..200).map(|at| format!("<b xmlns:n{at}='u'/>")).collect();
    let cases = [
        String::new(),
        "text".to_owned(),
        "<a>".to_owned(),
        "<a></b>".to_owned(),
        "<a/><b/>".to_owned(),
        "<a/>text".to_owned(),
        "<a b='1' b='2'/>".to_owned(),
        "<n:a/>".to_owned(),
        "<a>\u{1}</a>".to_owned(),
        "<a>&#1;</a>".to_owned(),
        "<?xml version='1.0' encoding='nonsense'?><a/>".to_owned(),
        format!("<{}/>", "a".repeat(300)),
        format!("<a{attributes}/>"),
        format!("<a>{namespaces}</a>"),
        deep,
        many,
    ];
    for text in cases {
        let start: String = text.chars().take(40).collect();
        assert_eq!(code(text), "normalize/invalid-xml", "{start}");
    }
}

/// The encoding is what the mark, the content type or the declaration says, in this order.
#[test]
fn encodings_become_utf_8() {
    let latin = b"<?xml version='1.0' encoding='ISO-8859-1'?><a>\xfc</a>".to_vec();
    assert_eq!(read(latin).unwrap().root().text(), "\u{fc}");
    let mut utf16 = vec![0xff, 0xfe];
    utf16.extend("<a>\u{fc}</a>".encode_utf16().flat_map(u16::to_le_bytes));
    assert_eq!(read(utf16).unwrap().root().text(), "\u{fc}");
    let header = HeaderValue::from_static("text/xml; charset=windows-1252");
    let body = Bytes::from_static(b"<a>\x80</a>");
    let document = Document::read(&body, Some(&header), Forbidden::Refuse).unwrap();
    assert_eq!(document.root().text(), "\u{20ac}");
    assert_eq!(code(b"<a>\xff</a>".to_vec()), "normalize/invalid-xml");
}

/// Elements are found by their local names, with their text and places.
#[test]
fn elements_are_where_they_were_written() {
    let text = "<?xml version='1.0'?>\n<n:a xmlns:n='u' x='1 &amp; 2'>\n <n:b>t&lt;<![CDATA[<c>]]>&#65;</n:b><d/><n:b/></n:a>\n";
    let document = read(text).unwrap();
    let root = document.root();
    assert_eq!((root.local(), root.namespace()), ("a", "u"));
    assert_eq!(root.attribute("x").as_deref(), Some("1 & 2"));
    assert_eq!(root.child("b").unwrap().text(), "t<<c>A");
    let children: Vec<&str> = root.children().map(|child| child.local()).collect();
    assert_eq!(children, ["b", "d", "b"]);
    assert_eq!(root.child("d").unwrap().outer(), "<d/>");
    assert!(root.outer().starts_with("<n:a ") && root.outer().ends_with("</n:a>"));
    assert_eq!(root.end_tag(), "</n:a>");
}

/// SAP's own adapters put a # in the place of what XML forbids.
#[test]
fn forbidden_characters_are_replaced_where_that_is_wanted() {
    let body = Bytes::from_static(b"<a>x\x01y</a>");
    let document = Document::read(&body, None, Forbidden::Replace).unwrap();
    assert!(document.replaced);
    assert_eq!(document.root().text(), "x#y");
}
