//! Paths and parameters of requests.

use std::fmt::Write as _;
use std::time::Duration;

/// What is asked for: a path below `/v1`, and parameters.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    path: String,
    parameters: Vec<(&'static str, String)>,
    patience: Duration,
}

impl Query {
    /// A document, or an endpoint.
    pub(crate) fn new(path: &str) -> Self {
        Self { path: path.to_owned(), parameters: Vec::new(), patience: Duration::ZERO }
    }

    /// Adds a parameter.
    pub(crate) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.parameters.push((name, value.to_string()));
        self
    }

    /// Adds a parameter that may be absent.
    pub(crate) fn with_any(self, name: &'static str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Lets the node hold its answer back for so long until there is one.
    pub(crate) fn waiting(mut self, seconds: u64) -> Self {
        self.patience = Duration::from_secs(seconds);
        self.with("wait_seconds", seconds)
    }

    /// What to add to the time that an answer may take.
    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    /// Path and parameters, with the member that shall answer.
    pub(crate) fn path_on(&self, on: Option<&str>) -> String {
        let mut text = format!("/v1/{}", self.path);
        let on = on.map(|member| ("on", member.to_owned()));
        for (at, (name, value)) in self.parameters.iter().cloned().chain(on).enumerate() {
            let _ = write!(text, "{}{name}={}", if at == 0 { '?' } else { '&' }, escaped(&value));
        }
        text
    }
}

/// RFC 3986: what is not unreserved is escaped.
fn escaped(value: &str) -> String {
    let mut text = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_escaped() {
        let query =
            Query::new("items").with("app", "shop").with("prefix", "a b/ü&x=1").with_any("n", None::<u8>);
        assert_eq!(query.path_on(Some("web7")), "/v1/items?app=shop&prefix=a%20b%2F%C3%BC%26x%3D1&on=web7");
        assert_eq!(Query::new("status").path_on(None), "/v1/status");
    }
}
