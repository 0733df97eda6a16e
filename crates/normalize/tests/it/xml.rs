//! IDocs, cXML, SuccessFactors and any XML, as they vary.

use jiff::tz::TimeZone;
use tidegate_application::{Application, Format, Mapping, Template};
use tidegate_event::{Event, Value};
use tidegate_normalize::{Error, Reading};

use crate::{Sent, bare, event_of, seen, system, text};

fn all(format: Format, xml: &str) -> Vec<Event> {
    bare(&seen(Reading::As(format), &[], xml.as_bytes()).unwrap())
}

fn one(format: Format, xml: &str) -> Event {
    event_of(Reading::As(format), &[], xml.as_bytes())
}

fn data(event: &Event) -> &str {
    std::str::from_utf8(event.data.as_deref().unwrap_or_default()).unwrap()
}

fn idoc(fields: &str) -> String {
    format!(
        "<IDOC><EDI_DC40><MANDT>1</MANDT><MESTYP>M</MESTYP><IDOCTYP>I</IDOCTYP>{fields}</EDI_DC40></IDOC>"
    )
}

/// Dates and times of an IDoc are digits of a fixed width; anything else is no time.
#[test]
fn only_whole_times_of_idocs_are_times() {
    let application = Application {
        time_zone: TimeZone::get("America/New_York").unwrap(),
        ..system()
    };
    for (date, time, expected) in [
        ("20260715", "235959", Some("2026-07-16T03:59:59Z")),
        ("20261115", "000000", Some("2026-11-15T05:00:00Z")),
        ("20261115", "240000", None),
        ("20261115", "11502", None),
        ("20261115", "1150", None),
        ("20261115", "+11502", None),
        ("00000000", "000000", None),
        ("20261115", "", None),
        ("", "115023", None),
    ] {
        let fields = format!("<DOCNUM>1</DOCNUM><CREDAT>{date}</CREDAT><CRETIM>{time}</CRETIM>");
        let xml = format!("<O>{}</O>", idoc(&fields));
        let sent = Sent {
            reading: Reading::As(Format::Idoc),
            application: &application,
            headers: &[],
            body: xml.as_bytes(),
            topic: None,
        };
        let events = bare(&sent.normalized().unwrap());
        assert_eq!(events[0].time.as_deref(), expected, "{date} {time}");
        assert_eq!(events[0].id, "1-1");
    }
}

/// Each IDoc of a bulk is a document by itself, with the names that it uses declared.
#[test]
fn a_bulk_becomes_one_document_for_each_idoc() {
    let (first, second) = (
        idoc("<DOCNUM>1</DOCNUM><ARCKEY>q</ARCKEY>"),
        idoc("<DOCNUM>2</DOCNUM><CIMTYP>Z</CIMTYP>"),
    );
    let events = all(
        Format::Idoc,
        &format!("<O a='1'>\n{first}\n{second}<x/></O>"),
    );
    assert_eq!(events.len(), 2);
    assert_eq!(data(&events[0]), format!("<O a='1'>{first}</O>"));
    assert_eq!(data(&events[1]), format!("<O a='1'>{second}</O>"));
    assert_eq!(text(&events[0], "partitionkey").as_deref(), Some("q"));
    assert_eq!(events[1].r#type, "sap.erp.idoc.M.I.Z");
    assert_eq!(text(&events[1], "xsapcimtyp").as_deref(), Some("Z"));
    for soap in [
        "http://schemas.xmlsoap.org/soap/envelope/",
        "http://www.w3.org/2003/05/soap-envelope",
    ] {
        let xml = format!(
            "<s:Envelope xmlns:s='{soap}' xmlns:i='urn:sap-com:document:sap:idoc:soap:messages'><s:Header><w:Security xmlns:w='u'>secret</w:Security></s:Header><s:Body><i:O>{first}</i:O></s:Body></s:Envelope>"
        );
        let event = one(Format::Idoc, &xml);
        let expected =
            format!("<i:O xmlns:i=\"urn:sap-com:document:sap:idoc:soap:messages\">{first}</i:O>");
        assert_eq!(data(&event), expected);
    }
    let wrong = format!("<O>{first}<IDOC><EDI_DC40/></IDOC></O>");
    let error = seen(Reading::As(Format::Idoc), &[], wrong.as_bytes()).unwrap_err();
    assert_eq!(error.code(), "normalize/missing-member");
}

/// What ABAP writes as UTF-16 is often sent as UTF-8, with the declaration of before.
#[test]
fn a_declaration_that_cannot_be_true_is_not_believed() {
    let xml = format!(
        "<?xml version=\"1.0\" encoding=\"utf-16\"?><O>{}</O>",
        idoc("<DOCNUM>ü</DOCNUM>")
    );
    assert_eq!(one(Format::Idoc, &xml).subject.as_deref(), Some("ü"));
    let event = event_of(Reading::Seen, &[], format!("\u{feff}{xml}").as_bytes());
    assert_eq!(event.id, "1-ü");
}

/// What XML forbids is replaced in IDocs, written as it is or as a reference; what it allows stays.
#[test]
fn forbidden_characters_of_idocs_are_replaced() {
    let fields =
        "<DOCNUM>1</DOCNUM><X>a\u{1}b&#x1F;c&#0;d&#xD800;e&#xFFFFFFFFF;f&#228;&#x20ac;&amp;#1;</X>";
    let normalized = seen(
        Reading::As(Format::Idoc),
        &[],
        format!("<O>{}</O>", idoc(fields)).as_bytes(),
    )
    .unwrap();
    let event = &bare(&normalized)[0];
    assert!(data(event).contains("<X>a#b#c#d#e#f&#228;&#x20ac;&amp;#1;</X>"));
    assert_eq!(normalized.repairs.len(), 1);
    for wrong in ["&#;", "&#x;", "&#zz;", "&#1", "&x;"] {
        let xml = format!("<O>{}</O>", idoc(&format!("<X>{wrong}</X>")));
        let error = seen(Reading::As(Format::Idoc), &[], xml.as_bytes()).unwrap_err();
        assert!(error.code().starts_with("normalize/"), "{wrong}");
    }
}

fn cxml(content: &str) -> String {
    format!(
        "<!DOCTYPE cXML SYSTEM \"http://x/cXML.dtd\"><cXML payloadID='p@x' timestamp='2026-11-20T09:36:40'>\
         <Header><From><Credential domain='d'><Identity> A 1 </Identity></Credential></From>\
         <Sender><Credential><SharedSecret type='x'>s1</SharedSecret></Credential></Sender></Header>{content}</cXML>"
    )
}

/// The type of cXML is what it asks, says or answers; its subject is the order of its header.
#[test]
fn requests_messages_and_responses_are_told_apart() {
    for (content, name, subject) in [
        (
            "<Request><OrderRequest><OrderRequestHeader orderID='1'/></OrderRequest></Request>",
            "OrderRequest",
            Some("1"),
        ),
        (
            "<Request><OrderRequest><OrderRequestHeader orderID=''/></OrderRequest></Request>",
            "OrderRequest",
            None,
        ),
        (
            "<Request><ConfirmationRequest><ConfirmationHeader type='accept'/><OrderReference orderID='1'/></ConfirmationRequest></Request>",
            "ConfirmationRequest",
            None,
        ),
        (
            "<Request><StatusUpdateRequest><DocumentReference payloadID='q'/></StatusUpdateRequest></Request>",
            "StatusUpdateRequest",
            None,
        ),
        (
            "<Message><Status code='200'/><PunchOutOrderMessage><PunchOutOrderMessageHeader/></PunchOutOrderMessage></Message>",
            "PunchOutOrderMessage",
            None,
        ),
        (
            "<Response><Status code='200'/><ProfileResponse/></Response>",
            "ProfileResponse",
            None,
        ),
        (
            "<Response><Status code='200'/></Response>",
            "Response",
            None,
        ),
    ] {
        let event = one(Format::Cxml, &cxml(content));
        assert_eq!(event.r#type, format!("sap.ariba.cxml.{name}"));
        assert_eq!(event.subject.as_deref(), subject, "{content}");
        assert_eq!(event.source, "/default/sap.ariba/A%201");
        assert_eq!(event.time.as_deref(), Some("2026-11-20T09:36:40Z"));
        assert!(data(&event).starts_with("<cXML "), "{}", data(&event));
        assert!(data(&event).contains("<Credential><SharedSecret/></Credential>"));
    }
}

/// A secret is blanked wherever it stands, also where a mapping reads the document.
#[test]
fn secrets_are_blanked_in_every_format() {
    let hidden = cxml(
        "<!-- <SharedSecret /><SharedSecrets>s</SharedSecrets><SharedSecret a=''>s2</SharedSecret > kept --><Request><R><x:SharedSecret xmlns:x='u'><b>s3</b></x:SharedSecret><![CDATA[<SharedSecret>s4</SharedSecret>]]></R></Request>",
    );
    let soap = "<e:Envelope xmlns:e='http://www.w3.org/2003/05/soap-envelope' xmlns:w='http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd'><e:Header><w:Security><w:Password>s5</w:Password></w:Security><k/></e:Header><e:Body><w:Security>kept</w:Security></e:Body></e:Envelope>";
    for (format, xml) in [
        (Format::Cxml, hidden.as_str()),
        (Format::GenericXml, hidden.as_str()),
        (Format::GenericXml, soap),
    ] {
        let events = mapped(format, None, xml).unwrap();
        let data = data(&events[0]);
        for secret in ["s1", "s2", "s3", "s4", "s5"] {
            assert!(!data.contains(&format!(">{secret}<")), "{data}");
        }
        assert!(
            xml == soap || data.contains("<SharedSecret/> kept -->"),
            "{data}"
        );
        assert!(format == Format::Cxml || data.contains("<k/>") || data.contains("<Request>"));
    }
}

fn mapped(format: Format, part: Option<&str>, xml: &str) -> Result<Vec<Event>, Error> {
    let template = |text: &str| Some(Template::parse(text).unwrap());
    let application = Application {
        mapping: Some(Mapping {
            r#type: template("t"),
            subject: template("/a/b[2]/@n"),
            data: part.map(ToOwned::to_owned),
            ..Mapping::default()
        }),
        ..system()
    };
    let sent = Sent {
        reading: Reading::As(format),
        application: &application,
        headers: &[],
        body: xml.as_bytes(),
        topic: None,
    };
    sent.normalized().map(|normalized| bare(&normalized))
}

/// A part of a document keeps the meaning of its names.
#[test]
fn a_part_of_a_document_declares_its_names() {
    let xml = "<a xmlns='urn:d' xmlns:p='urn:p' xmlns:q='urn:q'><b/><b n='2'><p:c/></b></a>";
    let events = mapped(Format::GenericXml, Some("/a/b[2]"), xml).unwrap();
    assert_eq!(
        data(&events[0]),
        "<b n='2' xmlns=\"urn:d\" xmlns:p=\"urn:p\"><p:c/></b>"
    );
    assert_eq!(events[0].subject.as_deref(), Some("2"));
}

fn external(meta: &str, events: &str) -> String {
    format!(
        "<n:ExternalEvent xmlns:n='http://notification.event.successfactors.com'><n:externalEventMeta>{meta}<n:type> com.x.Hire\n</n:type></n:externalEventMeta><n:events>{events}</n:events></n:ExternalEvent>"
    )
}

/// Messages of SuccessFactors with one or several events, with and without what is optional.
#[test]
fn events_of_successfactors_are_read_as_they_vary() {
    let meta = "<n:externalEventId>x</n:externalEventId><n:repost>1</n:repost>";
    let keys = "<n:entityKeys><k><value>O'Neil</value><name>b</name></k><k><name>a</name><value/></k></n:entityKeys>";
    let xml = external(
        meta,
        &format!(
            "<n:event><n:eventId>\n</n:eventId><n:entityType>E</n:entityType>{keys}</n:event>\
             <n:event><n:eventId>own</n:eventId><n:repost>false</n:repost><n:publishedAt>1795440912345</n:publishedAt></n:event>"
        ),
    );
    let events = all(Format::SuccessFactors, &xml);
    assert_eq!(events.len(), 2);
    assert_eq!((&*events[0].id, &*events[1].id), ("x/1", "own"));
    assert_eq!(events[0].r#type, "com.x.Hire");
    assert_eq!(events[0].subject.as_deref(), Some("E(a='',b='O''Neil')"));
    assert_eq!(events[1].subject, None);
    assert_eq!(
        events[0].extensions.get("xsaprepost"),
        Some(&Value::Boolean(true))
    );
    assert_eq!(
        events[1].extensions.get("xsaprepost"),
        Some(&Value::Boolean(false))
    );
    assert_eq!(events[1].time.as_deref(), Some("2026-11-23T13:35:12.345Z"));
    let json: serde_json::Value =
        serde_json::from_slice(events[0].data.as_deref().unwrap()).unwrap();
    assert_eq!(
        json["event"]["entityKeys"],
        serde_json::json!({"a": "", "b": "O'Neil"})
    );
    assert_eq!(json["event"]["params"], serde_json::json!({}));
    let soap = "<s:Envelope xmlns:s='http://www.w3.org/2003/05/soap-envelope'><s:Body>";
    let wrapped = format!("{soap}{xml}</s:Body></s:Envelope>");
    assert_eq!(all(Format::SuccessFactors, &wrapped), events);
}

/// A small request must not become a large one in memory.
#[test]
fn what_every_event_repeats_is_bounded() {
    let large = "x".repeat(100_000);
    let idoc = "<IDOC><EDI_DC40><MESTYP>A</MESTYP><IDOCTYP>B</IDOCTYP></EDI_DC40></IDOC>";
    let idocs = |count: usize| format!("<R a='{large}'>{}</R>", idoc.repeat(count));
    let namespace = "http://notification.event.successfactors.com";
    let event = "<event><eventId>1</eventId></event>";
    let message = |count: usize| {
        format!(
            "<ExternalEvent xmlns='{namespace}'><externalEventMeta><type>t</type><x>{large}</x>\
             </externalEventMeta><events>{}</events></ExternalEvent>",
            event.repeat(count)
        )
    };
    for (format, few, many) in [
        (Format::Idoc, idocs(40), idocs(50)),
        (Format::SuccessFactors, message(40), message(50)),
    ] {
        let read = |body: &str| {
            let sent = Sent {
                reading: Reading::As(format),
                application: &Application::unnamed("sys"),
                headers: &[("content-type", "text/xml")],
                body: body.as_bytes(),
                topic: None,
            };
            sent.normalized().map_err(|error| error.code())
        };
        assert_eq!(read(&few).unwrap().events.as_slice().len(), 40);
        assert_eq!(read(&many).unwrap_err(), "normalize/repeats-too-much");
    }
}
