//! What a member knows of one application on itself.

use std::collections::{BTreeMap, BTreeSet};

use super::contested::Contested;
use super::hooks::Hooks;
use super::rolling::Turns;
use crate::fetch::Plan;
use crate::hash::Hash;
use crate::manifest::Extent;
use crate::time::Instant;
use crate::trouble::Troubled;

/// One application on this member.
#[derive(Default)]
pub(super) struct Local {
    /// The last scan.
    pub(super) observed: Option<Observed>,
    /// Why there is no scan, if there is none.
    pub(super) unseen: Option<Troubled>,
    /// Basis and root applied last; durable.
    pub(super) applied: Option<(u64, Hash)>,
    /// A scan has shown what was applied last, since it was applied. What is seen before that may be half an apply and
    /// half an edit: it is repaired, and is no vote (finding 2). Not durable: after a start it must be seen again.
    pub(super) seen: bool,
    /// An apply failed, perhaps half-way, and what is settled was not seen since: what is there is no vote either.
    pub(super) half: bool,
    /// Roots that are complete in the store; durable.
    pub(super) held: BTreeMap<Hash, Extent>,
    /// Roots that are not taken, whoever offers them.
    pub(super) refused: BTreeSet<Hash>,
    /// Roots that are complete and are on their way into `held`, and how often: the last one on its way decides.
    pub(super) saving: BTreeMap<Hash, u32>,
    /// A root that is being fetched.
    pub(super) plan: Option<Plan>,
    /// What was looked for in vain, and until when something else comes first.
    pub(super) barren: BTreeMap<Hash, Vain>,
    /// A root that was completed or applied and is on its way to the disk.
    pub(super) writing: bool,
    /// Apply under way.
    pub(super) applying: Option<Applying>,
    /// Capture of the live tree under way, to adopt it.
    pub(super) capturing: Option<Capturing>,
    /// What is staged in this member's own window.
    pub(super) staged: Option<Hash>,
    /// Since when the present drift is seen.
    pub(super) drifting: Option<(Option<Hash>, Instant)>,
    /// Since when more than half show one root that is not the settled one, and that may be adopted.
    pub(super) adopting: Option<(Hash, Instant)>,
    /// What is repaired again and again.
    pub(super) contested: Contested,
    /// Not before this time again.
    pub(super) retry: Option<Instant>,
    /// Failures in a row.
    pub(super) failures: u32,
    /// What failed last.
    pub(super) error: Option<Troubled>,
    /// What of the tree this member cannot make as it was settled.
    pub(super) beyond: Option<Troubled>,
    /// Held roots of which something may have got lost: they are looked through again.
    pub(super) suspect: BTreeSet<Hash>,
    /// Since when nobody needs what is held here.
    pub(super) parting: Option<Instant>,
    /// A repair was asked for by hand.
    pub(super) forced: bool,
    /// Programs around a revision.
    pub(super) hooks: Hooks,
    /// Whose turn it is to apply.
    pub(super) turns: Turns,
    /// Since when the live tree is what it is, in a window that commits by itself.
    pub(super) quiet: Option<(Hash, Instant)>,
}

impl Local {
    /// What is left when this member has no tree of the application any more: what its store holds.
    pub(super) fn without_tree(self) -> Self {
        let Self { held, refused, saving, writing, suspect, .. } = self;
        Self { held, refused, saving, writing, suspect, ..Self::default() }
    }
}

/// A root that was looked for in vain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Vain {
    pub(super) until: Instant,
    /// Somebody was asked. Otherwise there was nobody, and it is over when there is.
    pub(super) asked: bool,
}

/// A capture under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Capturing {
    pub(super) id: u64,
    /// Something of the store was lost since it began, and it may have counted on it: it is made once more.
    pub(super) shaken: bool,
}

impl Capturing {
    pub(super) fn new(id: u64) -> Self {
        Self { id, shaken: false }
    }
}

/// An apply under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Applying {
    pub(super) id: u64,
    pub(super) basis: u64,
    pub(super) root: Hash,
    /// What was seen when it began.
    pub(super) seen: Option<Hash>,
    /// It brings a revision that was not here, instead of putting drift right.
    pub(super) is_new: bool,
    /// How many contested paths it leaves alone.
    pub(super) leaves: usize,
}

/// A scan of the live tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Observed {
    /// The root; `None` when there is nothing.
    pub(super) root: Option<Hash>,
    /// How much it is.
    pub(super) extent: Extent,
    /// It is as near to what was applied last as this member can bring it, and differs.
    pub(super) ends: bool,
}
