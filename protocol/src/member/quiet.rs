//! Windows that commit by themselves (design §5.4, finding 28): whenever the author's edits have rested for a while,
//! they are settled as a revision like any other, and the window stays open. Nobody ever has half of it.

use super::operation::{Content, Goal};
use super::{Core, Entity};
use crate::control::{Code, Refusal, Reply};
use crate::effect::Source;
use crate::event::{Event, Severity};
use crate::hash::Hash;
use crate::rollout::Wish;
use crate::time::{Instant, Millis};

/// Names of requests that nobody made begin here.
const OWN: u64 = 1 << 63;
/// After a commit that failed it is tried again when the tree changes, or after this.
const AGAIN: Millis = Millis(10_000);

/// Whether nobody waits for the answer.
pub(super) fn is_own(request: u64) -> bool {
    request >= OWN
}

impl Entity {
    /// Whether this member is the author of a window that commits by itself, and of the revision in force.
    pub(super) fn is_own_auto(&self, core: &Core, name: &str) -> bool {
        let auto = self.own_window(core, name).is_some_and(|window| window.auto().is_some());
        let settled = self.state.applications.get(name).and_then(|application| application.settled());
        let opened = self.own_window(core, name).map(|window| window.opened);
        auto && settled.is_some_and(|it| it.from == core.me() && Some(it.at) >= opened)
    }

    /// What the author's tree is now, if that is to be settled.
    fn unsettled(&self, core: &Core, name: &str) -> Option<(Hash, Millis)> {
        let quiet = self.own_window(core, name)?.auto()?;
        let root = self.local(name)?.observed?.root?;
        let settled = self.state.applications.get(name)?.root_hash();
        (settled != Some(root)).then_some((root, quiet))
    }

    /// Begins a commit when the edits have rested.
    pub(super) fn attend_quiet(&mut self, core: &mut Core) {
        let matters = |name: &&String| {
            self.own_window(core, name).is_some() || self.local(name).is_some_and(|it| it.quiet.is_some())
        };
        let names: Vec<String> = self.state.applications.keys().filter(matters).cloned().collect();
        for name in names {
            let unsettled = self.unsettled(core, &name);
            let Some(local) = self.locals.get_mut(&name) else { continue };
            let Some((root, quiet)) = unsettled else {
                local.quiet = None;
                continue;
            };
            if local.quiet.is_none_or(|(seen, _)| seen != root) {
                local.quiet = Some((root, core.now.mono + quiet));
            }
            let rested = local.quiet.is_some_and(|(_, at)| core.now.mono >= at);
            if !rested || self.check_majority(core).is_err() || self.is_asked_about(&name) {
                continue;
            }
            local_again(self, &name, core.now.mono + AGAIN);
            let window = self.own_window(core, &name);
            let by = window.map(|window| window.by.clone()).unwrap_or_default();
            let (request, application) = (OWN | core.id(), name.clone());
            let (content, reason, wish) = (Content::From(Source::Live), String::new(), Wish::default());
            let goal = Goal::Settle { application, content, reason, create: None, replace: true, wish };
            self.begin(core, request, by, goal, None);
        }
    }

    /// What became of a commit that nobody asked for.
    pub(super) fn own_ended(&mut self, core: &mut Core, name: Option<&str>, reply: &Reply) {
        let Err(Refusal { code, message, .. }) = reply else { return };
        // It changes again: there will be another quiet period.
        if *code != Code::Changing {
            let text = format!("the edits were not settled: {message}; it is tried again");
            let event = Event::new(Severity::Warning, "window.not-settled", text);
            core.event(name.map_or(event.clone(), |name| event.about(name)));
        }
    }

    pub(super) fn quiet_deadline(&self, core: &Core, name: &str) -> Option<Instant> {
        self.local(name)?.quiet.map(|(_, at)| at).filter(|at| *at > core.now.mono)
    }
}

fn local_again(entity: &mut Entity, name: &str, at: Instant) {
    if let Some(local) = entity.locals.get_mut(name)
        && let Some((_, again)) = &mut local.quiet
    {
        *again = at;
    }
}
