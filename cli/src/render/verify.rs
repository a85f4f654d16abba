//! `app verify --everywhere`

use std::fmt::Write as _;

use serde::Serialize;

use super::Look;
use super::colour::Paint;
use super::size::of_things;
use super::table::{Cell, Table};

/// What one member found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Verified {
    /// Its name.
    pub(crate) member: String,
    #[serde(flatten)]
    pub(crate) found: Found,
}

/// After everything was read again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(tag = "found", rename_all = "snake_case")]
pub(crate) enum Found {
    /// What is settled.
    Agrees,
    /// Something else.
    Differs {
        /// The root of what is there.
        root: String,
    },
    /// Nothing.
    Absent,
    /// It was not told: the error that stood in the way.
    Silent {
        /// `E202`
        code: String,
        /// In words.
        why: String,
    },
}

/// A line for each member, then who is to be looked at.
pub(crate) fn screen(app: &str, found: &[Verified], look: &Look) -> String {
    let mut table = Table::new(&["MEMBER", "FOUND"]).keep(1);
    let mut agree = 0;
    let mut next = String::new();
    for Verified { member, found } in found {
        agree += usize::from(*found == Found::Agrees);
        let cell = match found {
            Found::Agrees => Cell::from("what is settled"),
            Found::Differs { root } => Cell::painted(format!("something else: {root}"), Paint::Warning),
            Found::Absent => Cell::painted("nothing", Paint::Warning),
            Found::Silent { code, why } => Cell::painted(format!("not told: {why} ({code})"), Paint::Warning),
        };
        let _ = match found {
            Found::Agrees => Ok(()),
            Found::Differs { .. } => writeln!(next, "  see  althing app diff {app} --member {member}"),
            Found::Absent | Found::Silent { .. } => writeln!(next, "  see  althing why {member}"),
        };
        table.row([Cell::from(member.as_str()), cell]);
    }
    let count = of_things(found.len() as u64, "member");
    format!("{}{app}: {agree} of {count} hold what is settled.\n{next}", table.text(look))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_member_says_what_it_found() {
        let one = |member: &str, found: Found| Verified { member: member.to_owned(), found };
        let found = [
            one("web1", Found::Agrees),
            one("web7", Found::Differs { root: "b3:40aa3d".to_owned() }),
            one("web8", Found::Absent),
            one("web9", Found::Silent { code: "E202".to_owned(), why: "web9 does not answer".to_owned() }),
        ];
        let expected = "\
MEMBER  FOUND
web1    what is settled
web7    something else: b3:40aa3d
web8    nothing
web9    not told: web9 does not answer (E202)
shop: 1 of 4 members hold what is settled.
  see  althing app diff shop --member web7
  see  althing why web8
  see  althing why web9
";
        assert_eq!(screen("shop", &found, &Look::plain()), expected);
        let json = serde_json::to_string(&found).unwrap_or_default();
        let expected = concat!(
            r#"[{"member":"web1","found":"agrees"},{"member":"web7","found":"differs","root":"b3:40aa3d"},"#,
            r#"{"member":"web8","found":"absent"},"#,
            r#"{"member":"web9","found":"silent","code":"E202","why":"web9 does not answer"}]"#
        );
        assert_eq!(json, expected);
    }
}
