//! The caller's trace, as W3C Trace Context writes it: servers that trace their runs continue it.

/// `traceparent` from an X-Ray trace header, `Root=1-<8 hex>-<24 hex>;Parent=<16 hex>;Sampled=1`. `None` where that lacks a part.
///
/// A trace id of X-Ray is one of W3C without its version and dashes (AWS X-Ray, "Tracing header").
pub(super) fn from_trace_header(header: &str) -> Option<String> {
    let part = |name: &str| {
        let parts = header.split(';').filter_map(|part| part.trim().split_once('='));
        parts.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let (time, unique) = part("Root")?.strip_prefix("1-")?.split_once('-')?;
    let parent = part("Parent")?;
    let is_id =
        |text: &str, length: usize| text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_zero = |text: &str| text.bytes().all(|byte| byte == b'0');
    if !is_id(time, 8) || !is_id(unique, 24) || !is_id(parent, 16) || is_zero(parent) {
        return None;
    }
    let sampled = u8::from(part("Sampled") == Some("1"));
    let ids = format!("{time}{unique}-{parent}").to_ascii_lowercase();
    (!is_zero(&format!("{time}{unique}"))).then(|| format!("00-{ids}-{sampled:02}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_header_becomes_a_traceparent() {
        let header = "Root=1-67891233-abcdef012345678912345678;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=a:0";
        let expected = "00-67891233abcdef012345678912345678-53995c3f42cd8ad8-01";
        assert_eq!(from_trace_header(header).as_deref(), Some(expected));
        let not_sampled = header.replace("Sampled=1", "Sampled=0");
        assert!(from_trace_header(&not_sampled).unwrap().ends_with("-00"));
    }

    #[test]
    fn what_is_no_whole_trace_header_becomes_nothing() {
        for header in [
            "",
            "Root=1-67891233-abcdef012345678912345678",
            "Root=1-67891233-abcdef012345678912345678;Parent=0000000000000000",
            "Root=1-00000000-000000000000000000000000;Parent=53995c3f42cd8ad8",
            "Root=2-67891233-abcdef012345678912345678;Parent=53995c3f42cd8ad8",
            "Root=1-67891233-abcdef01234567891234567\n;Parent=53995c3f42cd8ad8",
        ] {
            assert_eq!(from_trace_header(header), None, "{header}");
        }
    }
}
