//! What more than half of the placed voters show instead of what is settled: adopted or refused, by the
//! application's policy (design §5.3, findings 2, 22 to 24).

use super::local::Capturing;
use super::{Core, Entity};
use crate::effect::{Output, Source};
use crate::event::{Event, Severity};
use crate::hash::Hash;
use crate::manifest::Manifest;
use crate::record::{Change, Policy};
use crate::state::{ADOPTERS, Application};
use crate::time::Millis;

/// Where drift may be adopted it is looked at for so long before it is repaired: the lists of a majority that was
/// changed at one time gather meanwhile (docs/decisions/0016-delays.md).
const REPAIR_DELAY: Millis = Millis(800);
/// More than half must show the same for so long before it is adopted. None of them repairs it meanwhile.
pub(super) const SETTLE_DELAY: Millis = Millis(3_000);

impl Entity {
    /// How long drift is looked at before it is repaired: not at all where it cannot be adopted.
    pub(super) fn repair_delay(&self, name: &str) -> Millis {
        let adopts = self.state.applications.get(name).is_some_and(|it| self.may_adopt(it));
        if adopts { REPAIR_DELAY } else { Millis(0) }
    }

    fn may_adopt(&self, application: &Application) -> bool {
        application.policy == Policy::Majority
            && self.state.placed_voters(application).count() >= ADOPTERS
            && (application.adopts || !application.revisions.is_empty())
    }

    /// Voters that now see `root` instead of what is settled, by lists that say that they applied the present basis;
    /// before the first revision there is nothing to apply. A member's own rendering of what is settled is no drift.
    pub(super) fn holders_of_drift(&self, name: &str, root: &Hash) -> usize {
        let Some(application) = self.state.applications.get(name) else { return 0 };
        let basis = application.basis;
        let applied = application.settled().map(|_| basis);
        let shows = |list: &crate::statement::ContentList| {
            list.basis == basis
                && list.observed == Some(*root)
                && !list.course.ends
                && !list.course.busy
                && (applied.is_none() || list.applied == applied)
        };
        let placed = self.state.placed_voters(application);
        placed.filter(|voter| self.list_of(&voter.id, name).is_some_and(shows)).count()
    }

    /// The root that a content quorum of the placed voters shows, and that is neither in force nor empty.
    fn shown_by_most(&self, name: &str) -> Option<Hash> {
        let application = self.state.applications.get(name)?;
        let placed = || self.state.placed_voters(application).map(|voter| voter.id);
        let settled = application.root_hash();
        // Nothing is not something that was there before.
        let counts =
            |root: &Hash| Some(*root) != settled && (settled.is_some() || *root != Manifest::empty().root);
        let seen = placed().filter_map(|id| self.list_of(&id, name)?.observed);
        let mut shown: Vec<Hash> = seen.filter(counts).collect();
        if shown.is_empty() {
            return None;
        }
        shown.sort();
        shown.dedup();
        let need = self.state.content_quorum(placed().count());
        shown.into_iter().find(|root| self.holders_of_drift(name, root) >= need)
    }

    /// The root that more than half of the placed voters show instead of the settled one, if the policy adopts it.
    pub(super) fn majority_drift(&self, name: &str) -> Option<Hash> {
        self.adoptable(name, self.shown_by_most(name))
    }

    fn adoptable(&self, name: &str, shown: Option<Hash>) -> Option<Hash> {
        let (root, application) = (shown?, self.state.applications.get(name)?);
        let adopts = self.may_adopt(application) && application.window.is_none();
        (adopts && !application.knows(&root)).then_some(root)
    }

    /// Whether what this member shows is what more than half show.
    pub(super) fn is_majority_drift(&self, name: &str) -> bool {
        let mine = self.local(name).and_then(|local| local.observed).and_then(|observed| observed.root);
        mine.is_some() && self.majority_drift(name) == mine
    }

    pub(super) fn attend_adoption(&mut self, core: &mut Core, name: &str) {
        let now = core.now.mono;
        let shown = self.shown_by_most(name);
        let drift = self.adoptable(name, shown);
        self.tell_what_is_refused(core, name, shown.filter(|_| drift.is_none()));
        let Some(local) = self.locals.get_mut(name) else { return };
        let Some(root) = drift else {
            local.adopting = None;
            return;
        };
        if local.adopting.is_none_or(|(other, _)| other != root) {
            local.adopting = Some((root, now));
        }
        let since = local.adopting.map_or(now, |(_, since)| since);
        if now < since + SETTLE_DELAY {
            return;
        }
        if !local.held.contains_key(&root) {
            let waits = local.retry.is_some_and(|at| now < at);
            let mine = local.observed.and_then(|observed| observed.root) == drift;
            if mine && local.capturing.is_none() && !local.writing && !waits {
                let capture = core.id();
                local.capturing = Some(Capturing::new(capture));
                let application = name.to_owned();
                core.out.push(Output::Capture { capture, application, source: Source::Live });
            }
            return;
        }
        self.propose_adoption(core, name, root);
    }

    /// The first of the roster that holds it proposes it.
    fn propose_adoption(&mut self, core: &mut Core, name: &str, root: Hash) {
        let now = core.now.mono;
        let evidence = self.evidence(name, &root);
        let Some(known) = self.state.applications.get(name) else { return };
        let first = self.state.placed_voters(known).find(|voter| {
            self.holding_of(&voter.id, name).is_some_and(|holding| holding.root == root)
                && (voter.id == core.me() || self.liveness.is_reachable(&voter.id, now))
        });
        let proposer = first.is_some_and(|voter| voter.id == core.me());
        if proposer && self.suffices(name, &evidence).is_ok() {
            let extent = self.extent_of(name, &root);
            let application = name.to_owned();
            self.originate_once(core, Change::Adopt { application, root, extent, evidence });
        }
    }

    /// Says once that more than half differ in the same way, and that it is repaired all the same.
    fn tell_what_is_refused(&mut self, core: &mut Core, name: &str, refused: Option<Hash>) {
        let Some(application) = self.state.applications.get(name) else { return };
        let settles = application.settled().is_some() && application.window.is_none();
        let refused = refused.filter(|_| settles);
        let why = match application.policy {
            Policy::Certified => "its policy is certified",
            Policy::Majority => "it was settled before, or there are too few voters",
        };
        self.tell(core, &format!("refused/{name}"), refused.is_some(), || {
            let shown = refused.map(|root| root.short()).unwrap_or_default();
            let text = format!("more than half have {shown}, which is not adopted ({why}): it is put back");
            Event::new(Severity::Warning, "content.refused", text).about(name)
        });
    }
}
