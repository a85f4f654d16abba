//! Which members an application goes to, and who else keeps its content (design S4, §5.3; findings 15, 16, 22, 42, 45).
//!
//! An application goes to all members, or to those of some groups. A group is a name; a member is in the groups that its
//! label `group` lists: `group=web`, or `group=web,cache`. Where fewer than [`HOLDERS`] of the members it goes to vote,
//! other voters, named by rendezvous hash, keep its content in their stores: its **keepers**.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::codec;
use crate::hash::Hash;
use crate::identity::MemberId;
use crate::state::{Application, Member, State, Terms};
use crate::validity::Invalid;

/// The label that says which groups a member is in, separated by commas.
pub const GROUP: &str = "group";

/// So many voters hold the content of an application where there are so many: of three, any one may be lost.
pub const HOLDERS: usize = 3;

/// The members that an application goes to: all, or those of these groups.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Placement(pub BTreeSet<String>);

impl Placement {
    /// Members of these groups; all members if there are none.
    pub fn of<T: Into<String>>(groups: impl IntoIterator<Item = T>) -> Self {
        Self(groups.into_iter().map(Into::into).collect())
    }

    /// Whether it is all members.
    pub fn is_everywhere(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this member is one of them.
    pub fn takes(&self, member: &Member) -> bool {
        self.is_everywhere() || groups_of(member).any(|group| self.0.contains(group))
    }
}

/// `all members`, `group web`, `groups cache web`.
impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.0.iter().map(String::as_str).collect();
        match names.as_slice() {
            [] => f.write_str("all members"),
            [one] => write!(f, "group {one}"),
            many => write!(f, "groups {}", many.join(" ")),
        }
    }
}

/// The groups that a member is in.
pub fn groups_of(member: &Member) -> impl Iterator<Item = &str> {
    let listed = member.labels.get(GROUP).map(String::as_str).unwrap_or_default();
    listed.split(',').filter(|group| !group.is_empty())
}

impl Application {
    /// The members it goes to.
    pub fn placement(&self) -> &Placement {
        &self.terms.placement
    }
}

impl Terms {
    /// Of an application that goes there, and is like any other for the rest.
    pub fn placed(placement: Placement) -> Self {
        Self { placement, ..Self::default() }
    }
}

/// Who counts for the content of each application: what a change of the roster is compared by.
pub(crate) struct Counted {
    voters: BTreeSet<MemberId>,
    grouped: BTreeMap<String, BTreeSet<MemberId>>,
}

impl State {
    /// The voters that an application goes to, in the order of the roster.
    pub fn placed_voters<'a>(&'a self, application: &'a Application) -> impl Iterator<Item = &'a Member> {
        self.voters().filter(|voter| application.placement().takes(voter))
    }

    /// Whether an application goes to this member, voter or not.
    pub fn is_placed(&self, application: &Application, id: &MemberId) -> bool {
        self.member(id).is_some_and(|member| application.placement().takes(member))
    }

    /// The voters that keep an application's content although it does not go to them: as many as the voters it goes to
    /// lack to [`HOLDERS`]. Each voter has a rank for each application, so that few keepers change with the roster.
    pub fn keepers(&self, name: &str, application: &Application) -> Vec<MemberId> {
        let placement = application.placement();
        let lacking = HOLDERS.saturating_sub(self.placed_voters(application).count());
        if lacking == 0 || placement.is_everywhere() {
            return Vec::new();
        }
        let others = self.voters().filter(|voter| !placement.takes(voter));
        let rank = |id: &MemberId| Hash::in_domain("althing keeper 1", &codec::encode(&(name, id)));
        let mut ranked: Vec<(Hash, MemberId)> = others.map(|voter| (rank(&voter.id), voter.id)).collect();
        ranked.sort_by(|one, other| other.cmp(one));
        ranked.into_iter().take(lacking).map(|(_, id)| id).collect()
    }

    /// Whose Holdings are evidence for the content of an application: the voters it goes to, and its keepers.
    pub fn holders(&self, name: &str, application: &Application) -> BTreeSet<MemberId> {
        let placed = self.placed_voters(application).map(|voter| voter.id);
        placed.chain(self.keepers(name, application)).collect()
    }

    /// Whether content that these hold durably may be settled: a content quorum of an application's holders, one of
    /// which it goes to, if there is any. Those that are no holders must not be among them.
    pub fn suffices(
        &self,
        name: &str,
        application: &Application,
        by: &BTreeSet<MemberId>,
    ) -> Result<(), Invalid> {
        let need = self.content_quorum(self.holders(name, application).len());
        let have = by.len();
        if have < need {
            return Err(Invalid::Evidence { have, need });
        }
        let mut placed = self.placed_voters(application).peekable();
        if placed.peek().is_some() && !placed.any(|voter| by.contains(&voter.id)) {
            return Err(Invalid::OnlyKept);
        }
        Ok(())
    }

    /// Who counts now.
    pub(crate) fn counted(&self) -> Counted {
        let grouped = self.applications.iter().filter(|(_, known)| !known.placement().is_everywhere());
        let grouped = grouped.map(|(name, known)| (name.clone(), self.holders(name, known))).collect();
        Counted { voters: self.voters().map(|voter| voter.id).collect(), grouped }
    }

    /// The applications for whose content others count than before.
    pub(crate) fn counted_otherwise(&self, before: &Counted) -> Vec<String> {
        let now = self.counted();
        let differs = |name: &String, known: &Application| {
            if known.placement().is_everywhere() {
                now.voters != before.voters
            } else {
                now.grouped.get(name) != before.grouped.get(name)
            }
        };
        let known = self.applications.iter().filter(|(name, known)| differs(name, known));
        known.map(|(name, _)| name.clone()).collect()
    }
}

#[cfg(test)]
mod tests;
