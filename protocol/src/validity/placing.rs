//! Changes of who an application goes to, and what follows for its basis (findings 15, 16, 42).

use super::{Draft, Invalid, check_label, check_patterns, check_rollout, concerned};
use crate::limits;
use crate::placement::{Counted, GROUP, Placement, groups_of};
use crate::record::Definition;
use crate::state::{Member, Terms};

/// The protocol version since when the basis of an application moves with its own holders only.
const OWN_HOLDERS: u32 = 2;

impl Draft<'_> {
    /// Neither who counts nor what is managed changes under an update that is being made.
    pub(super) fn arrange(self, name: &str, terms: &Terms, definition: &Definition) -> Result<(), Invalid> {
        check(&terms.placement)?;
        check_rollout(terms.rollout.is_sensible())?;
        definition.unmanaged.iter().try_for_each(|patterns| check_patterns(patterns))?;
        let application = concerned(self.next, name)?;
        // It is in the names of everything that was settled of it, and in the form it has on disks.
        if application.terms.handling != terms.handling {
            return Err(Invalid::NotSo(
                "how its tree is handled is the same for the whole life of an application",
            ));
        }
        let patterns = definition.unmanaged.as_ref().unwrap_or(&application.unmanaged);
        if let Some(why) = terms.handling.against(patterns) {
            return Err(Invalid::NotSo(why));
        }
        let moves = application.terms.placement != terms.placement
            || definition.unmanaged.as_ref().is_some_and(|patterns| *patterns != application.unmanaged);
        if moves && application.window.is_some() {
            return Err(Invalid::InWindow(name.to_owned()));
        }
        application.terms = terms.clone();
        application.policy = definition.policy.unwrap_or(application.policy);
        application.adopts = definition.adopts.unwrap_or(application.adopts);
        if let Some(patterns) = &definition.unmanaged {
            application.unmanaged.clone_from(patterns);
        }
        Ok(())
    }

    /// The labels of a member changed, perhaps its groups.
    pub(super) fn regrouped(self, before: &Member, after: &Member, counted: &Counted) -> Result<(), Invalid> {
        if before.labels.get(GROUP) == after.labels.get(GROUP) {
            return Ok(());
        }
        if self.before.protocol >= OWN_HOLDERS {
            groups_of(after).try_for_each(check_label)?;
        }
        let moved = self.next.applications.iter().filter(|(_, known)| {
            let placement = known.placement();
            placement.takes(before) != placement.takes(after)
        });
        let in_window =
            moved.filter(|(_, known)| known.window.is_some()).map(|(name, _)| name.clone()).next();
        if let Some(name) = in_window {
            return Err(Invalid::InWindow(name));
        }
        self.holders_changed(counted);
        Ok(())
    }

    /// Who is to hold what is the same; how many of them must is not.
    pub(super) fn rule_changed(self) {
        let epoch = self.next.epoch;
        self.next.roster_epoch = epoch;
        self.next.applications.values_mut().for_each(|application| application.basis = epoch);
    }

    /// A member came, went, or counts otherwise.
    pub(super) fn roster_changed(self, counted: &Counted) {
        self.next.roster_epoch = self.next.epoch;
        if self.before.protocol < OWN_HOLDERS {
            self.rule_changed();
        } else {
            self.holders_changed(counted);
        }
    }

    /// Every Holding gathered so far, of an application whose content others are to hold now, counted under another
    /// denominator: they are asked for anew.
    fn holders_changed(self, counted: &Counted) {
        let epoch = self.next.epoch;
        for name in self.next.counted_otherwise(counted) {
            if let Some(application) = self.next.applications.get_mut(&name) {
                application.basis = epoch;
            }
        }
    }
}

/// Whether an application may go there.
pub(super) fn check(placement: &Placement) -> Result<(), Invalid> {
    if placement.0.len() > limits::GROUPS {
        return Err(Invalid::Full("groups"));
    }
    placement.0.iter().try_for_each(|group| check_label(group))
}
