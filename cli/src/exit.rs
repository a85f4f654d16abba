//! Exit codes (cli.md "Exit codes"), and the few kinds of errors that never reach a node.

use althing_protocol::control::Code;
use althing_protocol::explain::Page;

/// The status this process ends with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Exit(pub(crate) u8);

impl Exit {
    /// Done; nothing wrong.
    pub(crate) const OK: Self = Self(0);
    /// Failed, not otherwise classified; also the answer "no" to a question.
    pub(crate) const FAILED: Self = Self(1);
    /// Differences found, only with `--exit-code`.
    pub(crate) const DIFFERENT: Self = Self(2);
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.0)
    }
}

/// A kind of error as people, scripts and `explain` see it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Kind {
    /// `E412`
    pub(crate) number: &'static str,
    /// `window-open`
    pub(crate) name: &'static str,
    /// The exit code that goes with it.
    pub(crate) exit: u8,
    /// One sentence.
    pub(crate) meaning: &'static str,
    /// More of it, and what can be done.
    pub(crate) page: Page,
}

/// The command was not understood, or a question could not be asked.
pub(crate) const USAGE: Kind = Kind {
    number: "E001",
    name: "usage",
    exit: 64,
    meaning: "The command line is not complete or not understood, or a question had nobody to answer it.",
    page: Page {
        text: "Every command tells its arguments and examples with --help. Where nobody can be asked, -y answers milder questions and --confirm NAME the severe ones. Nothing was changed.",
        remedies: &[
            ("see what can be typed", "althing status --help"),
            ("see all commands", "althing --help"),
        ],
    },
};
/// Our fault.
pub(crate) const BUG: Kind = Kind {
    number: "E002",
    name: "bug",
    exit: 70,
    meaning: "The program met something that it should never meet; please report it.",
    page: Page {
        text: "The answer of the node was not understood, or something that cannot happen did. The likely cause is a node of another version than this program.",
        remedies: &[("compare the versions", "althing version"), ("see what was done", "althing status")],
    },
};
/// The time given by `--timeout` is over.
pub(crate) const TIMED_OUT: Kind = Kind {
    number: "E003",
    name: "timed-out",
    exit: 124,
    meaning: "What was waited for did not come in the time given by --timeout.",
    page: Page {
        text: "Waiting ended, nothing else: what the node was asked to do goes on there.",
        remedies: &[("see what is so", "althing status")],
    },
};
/// Ctrl-C.
pub(crate) const INTERRUPTED: Kind = Kind {
    number: "E004",
    name: "interrupted",
    exit: 130,
    meaning: "The command was interrupted; what the node was asked to do may go on.",
    page: Page {
        text: "Before the vote of a change nothing has happened; after it the change is settled and members go on to apply it. The message says which.",
        remedies: &[("see what is so", "althing status")],
    },
};
/// `explain` of something else.
pub(crate) const NO_SUCH_CODE: Kind = Kind {
    number: "E005",
    name: "no-such-code",
    exit: 105,
    meaning: "There is no error of this number or name.",
    page: Page {
        text: "Errors have numbers such as E412 and names such as window-open; conditions in `status` have numbers such as A202.",
        remedies: &[("list all", "althing explain")],
    },
};

/// What only this program can say.
const OWN: [Kind; 5] = [USAGE, BUG, TIMED_OUT, INTERRUPTED, NO_SUCH_CODE];

impl From<Code> for Kind {
    fn from(code: Code) -> Self {
        let (number, name, exit) = (code.number(), code.name(), code.exit());
        Self { number, name, exit, meaning: code.meaning(), page: code.page() }
    }
}

/// Every kind of error there is, by number.
pub(crate) fn all() -> Vec<Kind> {
    let mut kinds: Vec<Kind> =
        OWN.into_iter().chain(Code::ALL.iter().map(|code| Kind::from(*code))).collect();
    kinds.sort_by_key(|kind| kind.number);
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_used_once() {
        let kinds = all();
        for pair in kinds.windows(2) {
            assert_ne!(pair[0].number, pair[1].number);
        }
        let mut names: Vec<_> = kinds.iter().map(|kind| kind.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), kinds.len());
    }

    #[test]
    fn every_kind_says_what_to_do_in_commands_that_parse() {
        use crate::args::Cli;
        use althing_protocol::explain::Condition;
        use clap::Parser as _;
        let conditions = Condition::ALL.iter().map(|condition| (condition.number(), condition.page()));
        let pages = all().into_iter().map(|kind| (kind.number, kind.page)).chain(conditions);
        for (number, page) in pages {
            assert!(page.text.len() > 40 && page.text.ends_with('.'), "{number}: {}", page.text);
            assert!(!page.remedies.is_empty(), "{number}");
            for (_, command) in page.remedies {
                let parsed = Cli::try_parse_from(command.split(' '));
                let help =
                    matches!(&parsed, Err(error) if error.kind() == clap::error::ErrorKind::DisplayHelp);
                assert!(parsed.is_ok() || help, "{number}: {command}: {:?}", parsed.err());
            }
        }
    }

    #[test]
    fn exits_are_documented_ones() {
        let documented = [1, 64, 65, 69, 70, 75, 77, 78, 103, 105, 106, 107, 124, 130];
        for kind in all() {
            assert!(documented.contains(&kind.exit), "{kind:?}");
        }
    }
}
