//! Events of events.k8s.io/v1, and what the API server refuses of them (Kubernetes' `validation.ValidateEventCreate`).

use serde_json::Value;

/// Bytes, or letters.
const LONGEST: [(&str, usize); 5] = [
    ("/note", 1024),
    ("/reason", 128),
    ("/action", 128),
    ("/reportingInstance", 128),
    ("/metadata/name", 253),
];

/// The Event, or what is wrong with it.
pub(super) fn made(namespace: &str, body: &[u8]) -> Result<Value, String> {
    let event: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let text = |path: &str| event.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let expected = [
        ("/apiVersion", "events.k8s.io/v1"),
        ("/kind", "Event"),
        ("/metadata/namespace", namespace),
        ("/regarding/namespace", namespace),
    ];
    for (path, expected) in expected {
        if text(path) != expected {
            return Err(format!("{path}: Invalid value: {:?}", text(path)));
        }
    }
    for path in
        ["/metadata/name", "/reason", "/action", "/reportingController", "/reportingInstance"]
    {
        if text(path).is_empty() {
            return Err(format!("{path}: Required value"));
        }
    }
    for (path, most) in LONGEST {
        if text(path).len() > most {
            return Err(format!("{path}: can have at most {most} characters"));
        }
    }
    if !matches!(text("/type"), "Normal" | "Warning") {
        return Err(format!("/type: Invalid value: {:?}", text("/type")));
    }
    let name = text("/metadata/name");
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    let ends = |c: char| c.is_ascii_alphanumeric();
    if !(name.bytes().all(plain) && name.starts_with(ends) && name.ends_with(ends)) {
        return Err(format!("/metadata/name: Invalid value: {name:?}"));
    }
    if !is_micro_time(text("/eventTime")) {
        return Err("/eventTime: Required value".to_owned());
    }
    if let Some(series) = event.get("series") {
        let count = series.get("count").and_then(Value::as_u64).unwrap_or_default();
        if count < 2 || !is_micro_time(text("/series/lastObservedTime")) {
            return Err("/series: Invalid value".to_owned());
        }
    }
    Ok(event)
}

/// RFC 3339 with exactly six digits of a second.
fn is_micro_time(text: &str) -> bool {
    let digits = text.split_once('.').and_then(|(_, rest)| rest.strip_suffix('Z'));
    digits.is_some_and(|digits| digits.len() == 6) && text.parse::<jiff::Timestamp>().is_ok()
}
