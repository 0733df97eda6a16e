//! Envoy and Istio: `X-Forwarded-Client-Cert`.

use http::HeaderMap;

use crate::{ClientCertificate, certificate::only, distinguished_name::common_name};

/// Elements with the checked certificates of each hop.
pub(super) const CERTIFICATE: &str = "x-forwarded-client-cert";

/// Alternative names that are looked at in one element.
const ALTERNATIVE_NAMES_MAX: usize = 100;

/// The names of the last element: the one that the trusted proxy has added itself. All before it
/// it was told by others.
pub(super) fn certificate(headers: &HeaderMap) -> Option<ClientCertificate> {
    let value = only(headers, CERTIFICATE)?;
    let elements = split(value.as_bytes(), b',')?;
    let pairs = split(elements.last()?, b';')?;
    let mut subject = None;
    let mut whole = None;
    let mut alternative_names = Vec::new();
    for pair in pairs {
        let place = pair.iter().position(|byte| *byte == b'=')?;
        let key = pair.get(..place)?.trim_ascii().to_ascii_lowercase();
        let raw = raw(pair.get(place + 1..)?)?;
        let doubled = match key.as_slice() {
            b"subject" => subject.replace(raw).is_some(),
            b"cert" => whole.replace(raw).is_some(),
            b"uri" | b"dns" if alternative_names.len() < ALTERNATIVE_NAMES_MAX => {
                alternative_names.push(String::from_utf8(plain(raw)).ok()?);
                false
            }
            _ => false,
        };
        if doubled {
            return None;
        }
    }
    let named = subject.and_then(common_name);
    let Some(whole) = whole else {
        return Some(ClientCertificate {
            common_name: named,
            alternative_names,
            validity: None,
        });
    };
    let certificate = ClientCertificate::from_escaped_pem(&plain(whole)).ok()?;
    let agrees = subject.is_none() || named == certificate.common_name;
    agrees.then_some(certificate)
}

/// Splits at a separator outside of quotes; none where a quote is never closed.
fn split(bytes: &[u8], separator: u8) -> Option<Vec<&[u8]>> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut quoted = false;
    let mut escaped = false;
    for (place, byte) in bytes.iter().enumerate() {
        if escaped {
            escaped = false;
        } else if quoted && *byte == b'\\' {
            escaped = true;
        } else if *byte == b'"' {
            quoted = !quoted;
        } else if !quoted && *byte == separator {
            parts.push(bytes.get(start..place)?);
            start = place + 1;
        }
    }
    parts.push(bytes.get(start..)?);
    (!quoted).then_some(parts)
}

/// The value without its quotes, escapes untouched: in a subject they are the name's own.
fn raw(value: &[u8]) -> Option<&[u8]> {
    let value = value.trim_ascii();
    match value.strip_prefix(b"\"") {
        Some(opened) => opened.strip_suffix(b"\""),
        None => Some(value),
    }
}

/// The value with `\"` as a quote.
fn plain(value: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(value.len());
    let mut bytes = value.iter().peekable();
    while let Some(byte) = bytes.next() {
        if *byte == b'\\' && bytes.peek() == Some(&&b'"') {
            continue;
        }
        plain.push(*byte);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn of(value: &[u8]) -> Option<ClientCertificate> {
        let mut headers = HeaderMap::new();
        headers.insert(CERTIFICATE, HeaderValue::from_bytes(value).unwrap());
        certificate(&headers)
    }

    /// What came before was written by others, and they would name whom they like.
    #[test]
    fn only_the_last_element_counts() {
        let names = of(b"Hash=00;Subject=\"CN=admin\",By=spiffe://x;Hash=01;Subject=\"CN=me,O=x\";URI=spiffe://me;DNS=a.example;DNS=b.example").unwrap();
        assert_eq!(names.common_name.as_deref(), Some("me"));
        assert_eq!(
            names.alternative_names,
            ["spiffe://me", "a.example", "b.example"]
        );
    }

    /// A subject may contain each separator; it must not end its element or pair.
    #[test]
    fn separators_and_quotes_inside_of_a_subject_are_part_of_it() {
        let names =
            of(b"Subject=\"O=a\\,CN=x\\\",Subject=;CN\\=y,CN=M\xC3\xBCl\\C3\\BCr\"").unwrap();
        assert_eq!(names.common_name.as_deref(), Some("Mülür"));
    }

    /// Broken values and doubled keys are refused as a whole: half of them may be forged.
    #[test]
    fn doubtful_values_are_none() {
        for value in [
            "Subject=\"CN=a",
            "Subject=\"CN=a\";Subject=\"CN=b\"",
            "Subject=\"CN=a\"x",
            "nonsense",
            "Cert=nonsense;Subject=\"CN=a\"",
        ] {
            assert_eq!(of(value.as_bytes()), None, "{value}");
        }
        let mut headers = HeaderMap::new();
        headers.append(CERTIFICATE, HeaderValue::from_static("Subject=\"CN=a\""));
        headers.append(CERTIFICATE, HeaderValue::from_static("Subject=\"CN=a\""));
        assert_eq!(certificate(&headers), None);
    }
}
