//! What `wait --for` waits for.

use std::str::FromStr;

use althing_protocol::view::{AppState, Health, Members, Status};
use serde_json::Value;

/// One condition, as typed and as understood.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Condition {
    text: String,
    test: Test,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Test {
    Agreed(String),
    Revision(String, u64),
    Window(String, bool),
    Health(Health),
    Member(String, String),
    Members(u64),
}

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is not a condition; `althing wait --help` lists them");
        let (subject, value) = text.split_once('=').ok_or_else(wrong)?;
        let (noun, name) = subject.split_once('/').unwrap_or((subject, ""));
        let named = |test: Test| if name.is_empty() { Err(wrong()) } else { Ok(test) };
        let test = match (noun, value) {
            ("app", "agreed") => named(Test::Agreed(name.to_owned()))?,
            ("app", revision) => {
                named(Test::Revision(name.to_owned(), revision.parse().map_err(|_| wrong())?))?
            }
            ("update", "open") => named(Test::Window(name.to_owned(), true))?,
            ("update", "closed") => named(Test::Window(name.to_owned(), false))?,
            ("member", "alive" | "unreachable" | "down" | "gone") => {
                named(Test::Member(name.to_owned(), value.to_owned()))?
            }
            ("health", state) if name.is_empty() => {
                Test::Health(serde_json::from_value(Value::from(state)).map_err(|_| wrong())?)
            }
            ("members", number) if name.is_empty() => Test::Members(number.parse().map_err(|_| wrong())?),
            _ => return Err(wrong()),
        };
        Ok(Self { text: text.to_owned(), test })
    }
}

impl Condition {
    /// What was typed.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether the list of members is needed to tell.
    pub(crate) fn needs_members(&self) -> bool {
        matches!(self.test, Test::Member(..))
    }

    /// `None` if it holds; otherwise what is so instead.
    pub(crate) fn unmet(&self, status: &Status, members: Option<&Members>) -> Option<String> {
        let app = |name: &str| status.applications.iter().find(|app| app.name == name);
        match &self.test {
            Test::Agreed(name) => match app(name) {
                None => Some("there is no such application".to_owned()),
                Some(app) if app.state == AppState::NotSettled || app.revision == 0 => {
                    Some("not settled".to_owned())
                }
                Some(app) => (app.agree < app.of).then(|| format!("{} of {} agree", app.agree, app.of)),
            },
            Test::Revision(name, wanted) => match app(name) {
                None => Some("there is no such application".to_owned()),
                Some(app) => {
                    (app.revision < *wanted).then(|| format!("revision {} is in force", app.revision))
                }
            },
            Test::Window(name, wanted) => {
                let open = app(name).is_some_and(|app| app.window.is_some());
                (open != *wanted).then(|| if open { "open" } else { "closed" }.to_owned())
            }
            Test::Health(wanted) => {
                let state = status.health.state;
                (state != *wanted).then(|| crate::render::health::word(state).to_owned())
            }
            Test::Member(name, wanted) => {
                let found = members.and_then(|all| all.members.iter().find(|member| member.name == *name));
                let state = found.map_or("gone", |member| member.state.as_str());
                (state != wanted).then(|| state.to_owned())
            }
            Test::Members(wanted) => {
                let (total, reachable) = (status.members.total, status.members.reachable);
                (total != *wanted || reachable != *wanted)
                    .then(|| format!("{total} in the roster, {reachable} reachable"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    fn check(condition: &str, expected: Option<&str>) {
        let condition: Condition = condition.parse().expect("a condition");
        let (status, members) = (samples::status(), samples::members());
        assert_eq!(condition.unmet(&status.body, Some(&members.body)).as_deref(), expected, "{condition:?}");
    }

    #[test]
    fn conditions_hold_or_say_what_is_so() {
        check("app/api=agreed", None);
        check("app/shop=agreed", Some("8 of 9 agree"));
        check("app/nope=agreed", Some("there is no such application"));
        check("app/shop=42", None);
        check("app/shop=43", Some("revision 42 is in force"));
        check("update/shop=closed", None);
        check("update/shop=open", Some("closed"));
        check("health=warning", None);
        check("health=ok", Some("warning"));
        check("members=9", None);
        check("members=10", Some("9 in the roster, 9 reachable"));
        check("member/web1=alive", None);
        check("member/web1=gone", Some("alive"));
        check("member/web77=gone", None);
    }

    #[test]
    fn others_are_refused() {
        for text in ["", "app", "app/shop", "app/=agreed", "app/shop=fine", "health=good", "members=x", "x=y"]
        {
            assert!(text.parse::<Condition>().is_err(), "{text}");
        }
    }
}
