//! How a revision gets onto the members once it is settled (design §5.4, findings 20, 21): at most a batch of them at a
//! time, with hooks of the application before and after, and on probation if the commit says so. Settled, so that
//! every member decides the same for itself.

use serde::{Deserialize, Serialize};

use crate::codec::is_default;
use crate::hash::Hash;
use crate::limits;
use crate::path::ItemPath;
use crate::time::Millis;

/// Of an application that is new: one member at a time.
pub const NEW: Batch = Batch::Members(1);
/// Of an application that was there before protocol version 2: all at once.
pub const AS_BEFORE: Batch = Batch::Percent(100);
/// A probation also fails when more than so many of a hundred placed members fail, whoever they are.
pub const FAILING_PERCENT: u64 = 10;

/// How many members of an application apply a revision at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Batch {
    /// So many.
    Members(u32),
    /// So many of a hundred of them, rounded down, but one.
    Percent(u32),
}

impl Default for Batch {
    fn default() -> Self {
        AS_BEFORE
    }
}

impl Batch {
    /// How many of so many members.
    pub fn of(self, members: usize) -> usize {
        match self {
            Self::Members(count) => count as usize,
            Self::Percent(percent) => members * percent as usize / 100,
        }
        .max(1)
    }

    /// Whether it is a number that makes sense: at least one member, at most all of them.
    pub fn is_sensible(self) -> bool {
        match self {
            Self::Members(count) => count >= 1 && count as usize <= limits::MEMBERS,
            Self::Percent(percent) => (1..=100).contains(&percent),
        }
    }
}

impl std::fmt::Display for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Members(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

/// A program of an application's own settled content, and how it is called.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// Where it lies in the content.
    pub path: String,
    /// What it is given.
    #[serde(default, skip_serializing_if = "is_default")]
    pub arguments: Vec<String>,
    /// It is killed after so long, with everything that it started.
    pub limit: Millis,
}

impl Hook {
    /// Whether it is within what a hook may be: a plain path, bounded arguments, a bounded time.
    pub fn is_sensible(&self) -> bool {
        let path = ItemPath::new(self.path.as_bytes()).is_ok_and(|path| !path.is_root());
        let plain = |text: &str| text.len() <= limits::TEXT_BYTES && !text.chars().any(char::is_control);
        path && plain(&self.path)
            && self.arguments.len() <= limits::HOOK_ARGUMENTS
            && self.arguments.iter().all(|argument| plain(argument))
            && (1..=limits::HOOK_MAX.0).contains(&self.limit.0)
    }

    /// As people write it.
    pub fn shown(&self) -> String {
        std::iter::once(&self.path).chain(&self.arguments).cloned().collect::<Vec<_>>().join(" ")
    }
}

/// How an application's revisions get onto its members: a part of its definition.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rollout {
    /// How many members apply at once, if a commit says nothing else.
    #[serde(default, skip_serializing_if = "is_default")]
    pub batch: Batch,
    /// Run on staged content, before a member promises to hold it: any that fails fails the update.
    #[serde(default, skip_serializing_if = "is_default")]
    pub check: Vec<Hook>,
    /// Run when a revision was applied or repaired: a member on which one fails is critical.
    #[serde(default, skip_serializing_if = "is_default")]
    pub after: Vec<Hook>,
}

impl Rollout {
    /// Of an application that is new and about which nothing else is said.
    pub fn of_new() -> Self {
        Self { batch: NEW, ..Self::default() }
    }

    /// Whether all of it is within its bounds.
    pub fn is_sensible(&self) -> bool {
        let few = |hooks: &[Hook]| hooks.len() <= limits::HOOKS && hooks.iter().all(Hook::is_sensible);
        self.batch.is_sensible() && few(&self.check) && few(&self.after)
    }

    /// For people, in one line.
    pub fn shown(&self) -> String {
        let hooks = |hooks: &[Hook]| match hooks {
            [] => "none".to_owned(),
            hooks => hooks.iter().map(Hook::shown).collect::<Vec<_>>().join(", "),
        };
        format!("batch {}; check hooks: {}; after: {}", self.batch, hooks(&self.check), hooks(&self.after))
    }

    /// The hooks of one kind.
    pub fn hooks(&self, kind: Kind) -> &[Hook] {
        match kind {
            Kind::Check => &self.check,
            Kind::After => &self.after,
        }
    }

    /// How long all hooks of one kind may take.
    pub fn limit(&self, kind: Kind) -> Millis {
        Millis(self.hooks(kind).iter().map(|hook| hook.limit.0).sum())
    }
}

/// When a hook runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Before a Holding of staged content is signed.
    Check,
    /// After an apply.
    After,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Check => "check",
            Self::After => "after",
        })
    }
}

/// What a commit says of its own roll-out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// Instead of what the application's definition says.
    #[serde(default, skip_serializing_if = "is_default")]
    pub batch: Option<Batch>,
    /// So long members may undo it by themselves, once, if its after hooks fail.
    #[serde(default, skip_serializing_if = "is_default")]
    pub probation: Millis,
    /// It is meant, also if it is the content that is in force.
    #[serde(default, skip_serializing_if = "is_default")]
    pub again: bool,
}

impl Wish {
    /// Whether it is within its bounds.
    pub fn is_sensible(&self) -> bool {
        self.batch.is_none_or(Batch::is_sensible) && self.probation <= limits::PROBATION_MAX
    }
}

/// How a settled revision gets onto the members.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// How many members apply it at once.
    #[serde(default, skip_serializing_if = "is_default")]
    pub batch: Batch,
    /// So long after it was settled members may undo it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub probation: Millis,
    /// It has the content of the revision before and is applied all the same.
    #[serde(default, skip_serializing_if = "is_default")]
    pub again: bool,
    /// An administrator wants it everywhere, whichever hooks fail: nothing stops it, and nobody undoes it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub goes_on: bool,
    /// The revision that members undid with it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub undoes: Option<u64>,
}

/// What a member says of its part in a roll-out, in its content list.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Course {
    /// Its files, or what its after hooks care for, are being brought to the revision in force.
    #[serde(default, skip_serializing_if = "is_default")]
    pub busy: bool,
    /// A check hook failed on what is staged: it is not promised.
    #[serde(default, skip_serializing_if = "is_default")]
    pub refuses: Option<Failed>,
    /// An after hook fails on what was applied.
    #[serde(default, skip_serializing_if = "is_default")]
    pub fails: Option<Failed>,
    /// What differs is only what the author cannot make so: owners that it does not know or may not give. It is the
    /// author's own rendering of what is settled, and never adopted (finding 26).
    #[serde(default, skip_serializing_if = "is_default")]
    pub ends: bool,
}

impl Course {
    /// Whether what it says has no more than anybody honest says.
    pub fn is_within_bounds(&self) -> bool {
        let plain = |failed: &Failed| {
            failed.text.len() <= limits::TEXT_BYTES && !failed.text.chars().any(char::is_control)
        };
        self.refuses.iter().chain(&self.fails).all(plain)
    }
}

/// A hook that failed on a member.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failed {
    /// On which content.
    pub root: Hash,
    /// The hook, how it ended, and what it said first.
    pub text: String,
}

/// What became of a hook that was run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Ran {
    /// It ended well.
    Well,
    /// It failed: how it ended, and what it said first.
    Badly(String),
    /// The content that it would come from does not have it.
    Absent,
    /// This machine's configuration forbids hooks.
    Forbidden,
}

#[cfg(test)]
mod tests {
    use quickcheck::quickcheck;

    use super::*;

    #[test]
    fn a_batch_is_a_share_but_one_at_least() {
        let of = |batch: Batch| [1, 3, 5, 8, 100].map(|members| batch.of(members));
        assert_eq!(of(NEW), [1; 5]);
        assert_eq!(of(Batch::Percent(25)), [1, 1, 1, 2, 25]);
        assert_eq!(of(AS_BEFORE), [1, 3, 5, 8, 100]);
        assert_eq!(of(Batch::Members(3)), [3; 5]);
    }

    #[test]
    fn hooks_stay_within_the_content_and_their_bounds() {
        let hook = |path: &str| Hook { path: path.into(), arguments: Vec::new(), limit: Millis(1000) };
        assert!(hook("hooks/check").is_sensible());
        for path in ["", "/bin/sh", "../x", "a/../b", "a\nb"] {
            assert!(!hook(path).is_sensible(), "{path:?}");
        }
        assert!(!Hook { limit: Millis(0), ..hook("a") }.is_sensible());
        assert!(
            !Hook { arguments: vec![String::new(); limits::HOOK_ARGUMENTS + 1], ..hook("a") }.is_sensible()
        );
        let many = Rollout { after: vec![hook("a"); limits::HOOKS + 1], ..Rollout::default() };
        assert!(!many.is_sensible());
        assert!(!Batch::Percent(0).is_sensible() && !Batch::Members(0).is_sensible());
    }

    quickcheck! {
        fn a_batch_is_never_nobody_and_never_more_than_asked_for(percent: u8, members: u16) -> bool {
            let (percent, members) = (u32::from(percent % 101), usize::from(members));
            let batch = Batch::Percent(percent).of(members);
            batch >= 1 && (batch == 1 || batch * 100 <= members * percent as usize)
        }
    }
}
