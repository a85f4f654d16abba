//! A creation that failed is taken back: an application that was defined for content which was then not settled goes
//! again, and the files of members stay as they are. Where that cannot be, the refusal says what is left.

use super::operation::{Goal, Next, Operation};
use super::voting::Fate;
use super::{Core, Entity};
use crate::control::{Code, Refusal};
use crate::hash::Hash;
use crate::record::Change;
use crate::time::Millis;

/// Taking back ends within this, one way or the other: whoever asked waits for it.
const LIMIT: Millis = Millis(10_000);

impl Entity {
    /// The window that a deployment opened goes with it.
    pub(super) fn close_own_implicit_window(&mut self, core: &mut Core, application: Option<&str>) {
        let Some(name) = application else { return };
        if self.own_window(core, name).is_some_and(|window| window.implicit) {
            self.originate_once(core, Change::Abort { application: name.to_owned() });
        }
    }

    /// Members that show other content at the root of an application that was never settled (finding 25).
    pub(super) fn would_replace(&self, name: &str, root: &Hash, created: bool) -> Option<Refusal> {
        let empty = crate::manifest::Manifest::empty().root;
        let other = |id| {
            let observed = self.list_of(id, name).and_then(|list| list.observed);
            observed.is_some_and(|observed| observed != *root && observed != empty)
        };
        let known = self.state.applications.get(name);
        let placed = known.into_iter().flat_map(|known| self.state.placed_voters(known));
        let names: Vec<String> =
            placed.filter(|voter| other(&voter.id)).map(|voter| voter.name.clone()).collect();
        if names.is_empty() {
            return None;
        }
        let text = format!(
            "{} of the members hold other content at the root of {name}, which would go to the trash",
            names.len()
        );
        let command = if created {
            format!("althing app new {name} --from DIR --replace")
        } else {
            format!("althing deploy {name} --from DIR --replace")
        };
        Some(
            Refusal::new(Code::WouldReplace, text)
                .fact("members", names.join(" "))
                .try_("move it to the trash", &command),
        )
    }

    /// Whether an operation defined an application that has nothing else: then the operation goes on to take it back,
    /// and `refusal` is its answer.
    pub(super) fn takes_back(&self, core: &Core, operation: &mut Operation, refusal: &Refusal) -> bool {
        let Goal::Settle { application, .. } = &operation.goal else { return false };
        let name = application.clone();
        if !operation.created || !self.is_bare(&name) {
            return false;
        }
        operation.goal = Goal::TakeBack { application: name, refusal: Box::new(refusal.clone()) };
        operation.deadline = core.now.mono + LIMIT;
        operation.intent = None;
        true
    }

    /// Whether the application is there and was never given content.
    fn is_bare(&self, name: &str) -> bool {
        self.state.applications.get(name).is_some_and(|application| application.revisions.is_empty())
    }

    pub(super) fn advance_taking_back(&mut self, core: &mut Core, operation: &mut Operation) -> Next {
        let Goal::TakeBack { application, refusal } = &operation.goal else { return Next::Wait };
        let (name, refusal) = (application.clone(), (**refusal).clone());
        if !self.is_bare(&name) {
            // Gone, or given content after all, which the refusal of an undecided vote said may happen.
            let clearing = self.is_leaving(&name) && core.now.mono < operation.deadline;
            return if clearing { Next::Wait } else { refusal.into() };
        }
        if core.now.mono >= operation.deadline || !self.has_majority(core) {
            return left(refusal, &name).into();
        }
        if let Some(id) = operation.intent {
            match self.fate(core, &id) {
                Fate::Pending => return Next::Wait,
                // Somebody opened a window meanwhile, or the like: it is theirs now.
                Fate::Dead(_) | Fate::Gone | Fate::Settled => {
                    self.withdraw(core, id);
                    return left(refusal, &name).into();
                }
            }
        }
        if self.state.applications.get(&name).is_some_and(|application| application.window.is_some()) {
            if self.own_window(core, &name).is_none() {
                return left(refusal, &name).into();
            }
            self.originate_once(core, Change::Abort { application: name });
            return Next::Wait;
        }
        let change = Change::Discard { application: name.clone(), keep_files: true };
        match self.originate(core, &operation.by.clone(), change) {
            Ok(id) => {
                operation.intent = Some(id);
                Next::Wait
            }
            Err(_) => left(refusal, &name).into(),
        }
    }
}

/// The refusal of a creation of which something is left.
fn left(refusal: Refusal, name: &str) -> Refusal {
    refusal
        .fact("left", format!("{name} is defined and has no content; no file was changed"))
        .try_("give it content", &format!("althing deploy {name} --from DIR"))
        .try_("or take it back", &format!("althing app remove {name} --keep-files --confirm {name}"))
}
