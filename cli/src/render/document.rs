//! Documents that this program makes itself: the envelope first, then the fields.

use serde::Serialize;

use super::time::now;

#[derive(Serialize)]
struct Envelope<'a, T> {
    schema: &'a str,
    at: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    answered_by: Option<&'a str>,
    #[serde(flatten)]
    body: T,
}

/// A document that a member stands behind, on one line.
pub(crate) fn of_member(schema: &str, at: &str, answered_by: &str, body: impl Serialize) -> String {
    line(&Envelope { schema, at, answered_by: Some(answered_by), body })
}

/// A document of this program alone, on one line.
pub(crate) fn own(schema: &str, body: impl Serialize) -> String {
    line(&Envelope { schema, at: &now(), answered_by: None, body })
}

/// Cannot fail for what is passed here: names are texts, and there are no maps with other keys.
fn line(envelope: &impl Serialize) -> String {
    serde_json::to_string(envelope).unwrap_or_default() + "\n"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_envelope_comes_first() {
        let text = of_member("althing.a/1", "2026-11-23T14:05:07Z", "web1", json!({ "a": 1 }));
        let expected = r#"{"schema":"althing.a/1","at":"2026-11-23T14:05:07Z","answered_by":"web1","a":1}"#;
        assert_eq!(text, format!("{expected}\n"));
        assert!(own("althing.a/1", json!({ "a": 1 })).starts_with(r#"{"schema":"althing.a/1","at":"2"#));
    }
}
