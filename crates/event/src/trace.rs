//! Trace context: W3C Trace Context's `traceparent`, level 1 (§3.2).

use std::fmt;

/// Where a trace goes on: which one, under which span.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    /// The trace; not all zeros.
    pub trace_id: [u8; 16],
    /// The span; not all zeros.
    pub span_id: [u8; 8],
    /// The flags as they came; see [`Self::is_sampled`].
    pub flags: u8,
}

/// The flag of a trace that is recorded.
const SAMPLED: u8 = 1;

/// Bytes of a `traceparent` of version 00.
const LEN: usize = 55;

impl TraceContext {
    /// A context of its own.
    pub fn new(trace_id: [u8; 16], span_id: [u8; 8], is_sampled: bool) -> Self {
        Self {
            trace_id,
            span_id,
            flags: if is_sampled { SAMPLED } else { 0 },
        }
    }

    /// Whether whoever comes before records the trace.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The trace's id, in hexadecimal.
    pub fn trace(&self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.trace_id))
    }

    /// Reads a `traceparent`. One of a newer version counts by what version 00 has of it.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let [version] = hex(bytes.get(..2)?)?;
        let is_whole = match version {
            0 => bytes.len() == LEN,
            0xff => false,
            _ => bytes.len() == LEN || bytes.get(LEN) == Some(&b'-'),
        };
        let dash = |at| bytes.get(at) == Some(&b'-');
        if !is_whole || !dash(2) || !dash(35) || !dash(52) {
            return None;
        }
        let [flags] = hex(bytes.get(53..55)?)?;
        Self::of(hex(bytes.get(3..35)?)?, hex(bytes.get(36..52)?)?, flags)
    }

    /// Reads the ids of B3 (its multiple headers): a trace of 128 or 64 bits.
    pub fn parse_b3(trace_id: &str, span_id: &str, is_sampled: bool) -> Option<Self> {
        let mut whole = [0; 16];
        match trace_id.len() {
            32 => whole = hex(trace_id.as_bytes())?,
            16 => {
                let half: [u8; 8] = hex(trace_id.as_bytes())?;
                whole
                    .iter_mut()
                    .skip(8)
                    .zip(half)
                    .for_each(|(to, from)| *to = from);
            }
            _ => return None,
        }
        Self::of(whole, hex(span_id.as_bytes())?, u8::from(is_sampled))
    }

    fn of(trace_id: [u8; 16], span_id: [u8; 8], flags: u8) -> Option<Self> {
        let context = Self {
            trace_id,
            span_id,
            flags,
        };
        context.is_legal().then_some(context)
    }

    /// Whether neither id is the one that stands for none.
    pub fn is_legal(&self) -> bool {
        self.trace_id != [0; 16] && self.span_id != [0; 8]
    }
}

impl fmt::Display for TraceContext {
    /// As a `traceparent`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (trace, span) = (
            u128::from_be_bytes(self.trace_id),
            u64::from_be_bytes(self.span_id),
        );
        write!(f, "00-{trace:032x}-{span:016x}-{:02x}", self.flags)
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Exactly so many bytes in lower case, as the specification asks for.
fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, digits) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        for digit in digits {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => return None,
            };
            *byte = *byte << 4 | value;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEGAL: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    /// What is read is written as it was.
    #[test]
    fn a_traceparent_is_read_and_written() {
        let context = TraceContext::parse(LEGAL).unwrap();
        assert_eq!(context.to_string(), LEGAL);
        assert!(context.is_sampled());
        assert_eq!(context.trace(), LEGAL[3..35]);
        assert_eq!((context.trace_id[0], context.span_id[1]), (0x4b, 0xf0));
        let not = TraceContext::parse(&LEGAL.replace("-01", "-02")).unwrap();
        assert!(!not.is_sampled());
    }

    /// A newer version may have more behind; version 00 may not.
    #[test]
    fn newer_versions_are_read_as_far_as_they_are_known() {
        let newer = LEGAL.replacen("00", "01", 1);
        assert!(TraceContext::parse(&newer).is_some());
        assert!(TraceContext::parse(&format!("{newer}-more")).is_some());
        assert!(TraceContext::parse(&format!("{newer}more")).is_none());
        assert!(TraceContext::parse(&format!("{LEGAL}-more")).is_none());
        assert!(TraceContext::parse(&LEGAL.replacen("00", "ff", 1)).is_none());
    }

    /// What is no context is none, whatever it looks like.
    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "00",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473\u{e9}-0f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceContext::parse(text), None, "{text}");
        }
    }

    /// B3 has traces of 64 bits as well; they are the lower half.
    #[test]
    fn ids_of_b3_are_read() {
        let span = "a2fb4a1d1a96d312";
        let long = TraceContext::parse_b3("463ac35c9f6413ad48485a3953bb6124", span, true).unwrap();
        let short = TraceContext::parse_b3("48485a3953bb6124", span, false).unwrap();
        assert_eq!(long.trace_id[8..], short.trace_id[8..]);
        assert_eq!(short.trace_id[..8], [0; 8]);
        assert!(long.is_sampled() && !short.is_sampled());
        assert_eq!(TraceContext::parse_b3("48485a39", span, true), None);
    }
}
