//! What stops settling until an administrator has looked (finding 8, PROTOCOL.md V11–V13): statements that
//! contradict each other, a second certificate of an epoch, an entity that was begun anew. Content and traffic go on.

use super::saved;
use super::{Core, Durable, Entity, Sabotage};
use crate::control::{Code, Refusal};
use crate::effect::Output;
use crate::event::{Event, Severity};
use crate::evidence::{Contradiction, Evidence};
use crate::hash::Hash;
use crate::identity::MemberId;
use crate::limits;
use crate::record::{Link, Record};
use crate::statement::{Checked, Signed, StatementFault, Unverified, Vote};
use crate::succession::Succession;
use crate::trail::Deciders;
use crate::validity::check_certificate;
use crate::wire::Message;

const NO_MEMBER_SIGNED: &str = "that the entity was begun anew, and no member signed that";

impl Entity {
    /// Whether something was found that nobody has acknowledged.
    pub(super) fn is_stopped(&self) -> bool {
        self.unresolved().next().is_some()
    }

    /// What was found and not acknowledged, oldest first.
    pub(super) fn unresolved(&self) -> impl Iterator<Item = &Evidence> {
        self.evidence.values().filter(|evidence| evidence.stops(&self.state.entity))
    }

    /// Keeps what was found, unless the same is kept already; whether it is news.
    fn keep_evidence(
        &mut self,
        core: &mut Core,
        epoch: u64,
        what: Contradiction,
        from: Option<MemberId>,
    ) -> bool {
        let (entity, seen) = (self.state.entity, core.now.wall);
        let evidence = Evidence { entity, epoch, what, from, seen, resolved: None };
        if self.evidence.values().any(|known| known.covers(&evidence)) {
            return false;
        }
        let mut writes = Vec::new();
        if self.evidence.len() >= limits::EVIDENCE {
            let done = self.evidence.iter().find(|(_, evidence)| evidence.resolved.is_some());
            // All of it stops settling already: one thing more changes nothing.
            let Some(number) = done.map(|(number, _)| *number) else { return false };
            self.evidence.remove(&number);
            writes.push(saved::drop_evidence(number));
        }
        let number = self.evidence.last_key_value().map_or(1, |(last, _)| last + 1);
        writes.push(saved::put_evidence(number, &evidence));
        core.persist(writes, Durable::Nothing);
        self.evidence.insert(number, evidence);
        true
    }

    // --- two statements ----------------------------------------------------------------------------------------

    /// Rule 11: keep both, tell it, stop settling. Both are of a member of the roster, and both signatures hold.
    pub(super) fn equivocation(&mut self, core: &mut Core, a: Checked, b: Checked) {
        if core.breaks(Sabotage::NoEvidence) {
            return;
        }
        let author = a.author();
        let epoch = a.vote().map_or(self.state.epoch + 1, |vote| vote.epoch);
        let what = Contradiction::Statements(Box::new((a.signed().clone(), b.signed().clone())));
        if !self.keep_evidence(core, epoch, what, None) {
            return;
        }
        let name = self.state.name_of(&author);
        let text = format!(
            "{name} signed two statements of epoch {epoch} that contradict each other: nothing is settled here until an administrator has acknowledged it (althing resolve)"
        );
        core.event(Event::new(Severity::Critical, "vote.equivocation", text).of(author));
    }

    /// Whoever is stopped shows what stopped it to those that say that they vote: the board of who was away has room for
    /// one of two votes in one place, so that comparing boards does not bring both. The older one comes first.
    pub(super) fn show_contradictions(&self, core: &mut Core) {
        let deciding = self.state.epoch + 1;
        let both = self.unresolved().find_map(|evidence| match &evidence.what {
            Contradiction::Statements(both) if evidence.epoch == deciding => Some(both),
            _ => None,
        });
        let Some(both) = both else { return };
        let mut signed = vec![both.0.clone(), both.1.clone()];
        let place = |signed: &Signed| {
            let read = Unverified::read(signed.clone(), &self.state.entity);
            read.ok().map(|read| read.envelope().position)
        };
        signed.sort_by_key(place);
        let votes = |peer: &&MemberId| self.report_of(peer).is_some_and(|report| report.votes);
        for peer in self.overlay.peers().iter().filter(votes) {
            self.send(core, *peer, &Message::Push(signed.clone()));
        }
    }

    // --- two records of one epoch ------------------------------------------------------------------------------

    /// Somebody shows a link of an epoch that is settled here.
    pub(super) fn compare_link(&mut self, core: &mut Core, from: MemberId, link: &Link) {
        if core.breaks(Sabotage::NoEvidence) {
            return;
        }
        let certificate = &link.certificate;
        let epoch = certificate.epoch;
        let Some(ours) = self.trail.deciders(epoch).map(|deciders| deciders.parent) else { return };
        if self.trail.record(epoch).is_none_or(|mine| mine == certificate.value) {
            return;
        }
        // A link of another branch whose fork lies further back has another parent: the link with which it begins tells. If
        // the trail does not go back to that, its oldest epoch tells: that enough of those who decided here signed there,
        // too.
        let parent = Record::decode(&link.record).map_or(ours, |record| record.parent);
        let (begins, oldest) = (parent == ours, epoch == self.trail.first() + 1);
        if !begins && epoch == self.state.epoch {
            self.ask_where_it_begins(core, from);
        }
        let tells = begins || oldest && !self.knows_a_fork();
        if !tells || !self.conduct.may_verify(from, self.state.members.len(), core.now.mono) {
            return;
        }
        let named = Record::hash_of(&link.record) == certificate.value;
        let Some(deciders) = self.trail.deciders(epoch).map(|deciders| Deciders { parent, ..deciders })
        else {
            return;
        };
        match check_certificate(&self.state.entity, deciders, certificate, core.scheme()) {
            Ok(()) if named => self.fork(core, from, link),
            _ if begins => self.tell_forged(core, from, "a certificate that does not hold"),
            // Perhaps others decide on that branch by now.
            _ => {}
        }
    }

    /// Whether a fork of this entity was found, acknowledged or not: what follows on another branch is no news.
    pub(super) fn knows_a_fork(&self) -> bool {
        let is_fork = |evidence: &Evidence| matches!(evidence.what, Contradiction::Fork(_));
        self.evidence.values().any(|evidence| evidence.entity == self.state.entity && is_fork(evidence))
    }

    fn fork(&mut self, core: &mut Core, from: MemberId, link: &Link) {
        let epoch = link.certificate.epoch;
        if !self.keep_evidence(core, epoch, Contradiction::Fork(Box::new(link.clone())), Some(from)) {
            return;
        }
        let mine = self.trail.record(epoch).unwrap_or(self.head);
        let text = format!(
            "two certificates settle epoch {epoch}, {} here and {} on {}: nothing is settled here until an administrator has chosen one (althing resolve)",
            mine.short(),
            link.certificate.value.short(),
            self.state.name_of(&from)
        );
        core.event(Event::new(Severity::Critical, "chain.fork", text).of(from));
        // Whoever showed it sees ours, from the disk; the others see theirs.
        core.out.push(Output::SendChain { to: from, after: epoch.saturating_sub(1) });
        for peer in self.overlay.peers().clone().into_iter().filter(|peer| *peer != from) {
            self.send(core, peer, &Message::Chain(vec![link.clone()]));
        }
    }

    /// A link that should be the next one here and is not: perhaps its sender is on another branch. The links since
    /// the beginning of the trail tell where it begins.
    pub(super) fn look_back(&mut self, core: &mut Core, from: MemberId, link: &Link, is_first: bool) {
        let next = link.certificate.epoch == self.state.epoch + 1;
        let record = Record::decode(&link.record);
        let elsewhere = record.as_ref().is_ok_and(|record| {
            record.entity == self.state.entity
                && record.parent != self.head
                && record.epoch == link.certificate.epoch
        });
        let foreign = record.ok().map(|record| record.entity).filter(|entity| self.is_foreign(link, entity));
        if let Some(entity) = foreign.filter(|_| is_first && next) {
            // Whoever is back in an entity that was begun anew asks for a chain before it is told so.
            self.hold_against(core, from, &StatementFault::Foreign(entity));
        } else if is_first && next && elsewhere {
            self.ask_where_it_begins(core, from);
        } else if next && is_first && !elsewhere {
            tracing::debug!(?from, "a link of the chain does not hold");
            self.offended(core, from, crate::conduct::Offence::Chain, 1);
        }
    }

    /// Whether a link is of that entity in all its parts, and of this one in none.
    fn is_foreign(&self, link: &Link, entity: &Hash) -> bool {
        let certificate = &link.certificate;
        let is_of_it = |signed: &Signed| {
            let read = Unverified::read(signed.clone(), &self.state.entity);
            matches!(read, Err(StatementFault::Foreign(of)) if of == *entity)
        };
        let named = Record::hash_of(&link.record) == certificate.value;
        named && *entity != self.state.entity && certificate.votes.iter().all(is_of_it)
    }

    // --- an entity that succeeds this one ----------------------------------------------------------------------

    /// Somebody says that this entity was begun anew. It counts if a member of the roster signed it.
    pub(super) fn on_succession(&mut self, core: &mut Core, from: MemberId, succession: Succession) {
        if succession.entity != self.state.entity {
            return;
        }
        if !succession.holds(core.scheme()) {
            return self.tell_forged(core, from, NO_MEMBER_SIGNED);
        }
        if !self.is_of_a_member(core, &succession) && succession.epoch > self.state.epoch {
            return self.judge_later(core, from, succession);
        }
        if self.state.member(&succession.by).is_none() {
            // A founder that was removed since, by a majority that went on: its word counts no more, and was good when
            // others heard it.
            let was_member = self.state.past.iter().any(|past| past.id == succession.by);
            if !was_member {
                self.tell_forged(core, from, NO_MEMBER_SIGNED);
            }
            return;
        }
        if !succession.is_warranted(&self.state.governance.authority, core.scheme()) {
            self.tell_forged(
                core,
                from,
                "that the entity was begun anew, and its operators did not sign that",
            );
            return;
        }
        let what = Contradiction::Succession(Box::new(succession.clone()));
        if !self.keep_evidence(core, succession.epoch, what, Some(from)) {
            return;
        }
        let by = self.state.name_of(&succession.by);
        let text = format!(
            "{by} began the entity anew after epoch {}: this member is mute in the old one, and serves what it has; join the new one with an invitation of {by}",
            succession.epoch
        );
        core.event(Event::new(Severity::Critical, "entity.superseded", text).of(succession.by));
        for peer in self.overlay.peers().clone() {
            self.send(core, peer, &Message::Succession(succession.clone()));
        }
    }

    /// Whether a member of the roster signed it, and who governs the entity.
    fn is_of_a_member(&self, core: &Core, succession: &Succession) -> bool {
        self.state.member(&succession.by).is_some()
            && succession.is_warranted(&self.state.governance.authority, core.scheme())
    }

    /// Whoever was let in, and whoever governs, in epochs that are not known here yet may well have signed it.
    fn judge_later(&mut self, core: &mut Core, from: MemberId, succession: Succession) {
        let (name, here) = (self.state.name_of(&from), self.state.epoch);
        self.tell(core, &format!("succession/{}", succession.successor), true, || {
            let text = format!(
                "{name} shows that the entity was begun anew after epoch {}, which cannot be judged at epoch {here}: what was settled between is asked for",
                succession.epoch
            );
            Event::new(Severity::Warning, "succession.unjudged", text).of(from)
        });
        self.unjudged = Some((from, succession));
        self.ask_chain(core, from, self.chain_until());
    }

    /// More is settled here: enough perhaps to judge what was said about this entity's end.
    pub(super) fn judge_succession(&mut self, core: &mut Core) {
        if let Some((from, succession)) = self.unjudged.take() {
            self.on_succession(core, from, succession);
        }
    }

    /// By which statement this entity was begun anew, if that is known.
    pub(super) fn succession(&self) -> Option<&Succession> {
        self.unresolved().find_map(|evidence| match &evidence.what {
            Contradiction::Succession(succession) => Some(&**succession),
            _ => None,
        })
    }

    /// What a peer of another entity should know: that this one succeeds its own, or was succeeded itself. Whoever is in
    /// the roster may be back in the entity before, with an older state of its disk.
    pub(super) fn tell_succession(&self, core: &mut Core, peer: MemberId) {
        let learned = self.succession().cloned();
        let own = self.beginning.as_ref().and_then(|beginning| beginning.succession.clone());
        if let Some(succession) = learned.or(own) {
            self.send(core, peer, &Message::Succession(succession));
        }
    }

    /// Whether this entity was begun anew as that one, or that one as this. Whoever comes over is let in by the new one
    /// before it has left the old one: for a moment honest members say to each other what is of no use.
    pub(super) fn is_kin(&self, entity: &Hash) -> bool {
        let learned = self.evidence.values().any(|evidence| {
            matches!(&evidence.what, Contradiction::Succession(succession) if succession.successor == *entity)
        });
        let before = self.state.origin.as_ref().is_some_and(|origin| origin.entity == *entity);
        let unjudged = self.unjudged.as_ref().is_some_and(|(_, told)| told.successor == *entity);
        learned || before || unjudged || self.following.as_ref() == Some(entity)
    }

    /// Whose chain is not this one: it was told what it should know.
    pub(super) fn is_of_the_entity_before(&self, peer: &MemberId) -> bool {
        let Some(origin) = &self.state.origin else { return false };
        // Whoever lets a newcomer in may have come over itself, later than the newcomer's head: it has this chain.
        let sponsor = self.beginning.as_ref().and_then(|beginning| beginning.sponsor);
        if sponsor.is_some_and(|sponsor| sponsor.member == *peer) {
            return false;
        }
        self.state.past.iter().any(|past| past.id == *peer && past.until <= origin.epoch)
    }

    fn tell_forged(&mut self, core: &mut Core, from: MemberId, what: &str) {
        let name = self.state.name_of(&from);
        self.tell(core, &format!("forged/{from}"), true, || {
            let text = format!("{name} showed {what}; it changes nothing");
            Event::new(Severity::Warning, "evidence.forged", text).of(from)
        });
    }

    // --- the administrator's act -------------------------------------------------------------------------------

    /// Why nothing is settled, as a refusal; `None` if nothing was found.
    pub(super) fn why_stopped(&self) -> Option<Refusal> {
        let evidence = self.unresolved().next()?;
        let name = &self.state.name;
        let refusal = match &evidence.what {
            Contradiction::Statements(both) => {
                let who = self.state.name_of(&both.0.author);
                let text = format!(
                    "{who} signed statements that contradict each other: nothing is settled until an administrator has acknowledged it"
                );
                Refusal::new(Code::Contradiction, text)
                    .try_("acknowledge it", &format!("althing resolve --confirm {name}"))
            }
            Contradiction::Fork(link) => self.fork_refusal(evidence.epoch, &link.certificate.value),
            Contradiction::Succession(succession) => {
                let by = self.state.name_of(&succession.by);
                let text = format!("{by} began this entity anew: this member is mute in the old one");
                Refusal::new(Code::Contradiction, text)
                    .fact("successor", succession.successor)
                    .try_("join it, with an invitation of the new one", "althing join")
                    .try_(
                        "forget the old one first, if it is not among the members that were kept",
                        "althing leave --purge",
                    )
            }
        };
        Some(refusal.try_("see what happened", "althing events --severity critical"))
    }

    fn fork_refusal(&self, epoch: u64, theirs: &Hash) -> Refusal {
        let mine = self.trail.record(epoch).unwrap_or(self.head);
        let text = format!("two certificates settle epoch {epoch}: nothing is settled until one is chosen");
        Refusal::new(Code::Contradiction, text)
            .fact("here", mine)
            .fact("elsewhere", theirs)
            .try_("go on from here", &format!("althing resolve --keep {mine} --confirm {}", self.state.name))
            .try_("give up what was settled here, to join the others anew", "althing leave --purge")
    }

    /// Acknowledges all that was found. Of two branches the one to keep must be named, and be the one here.
    pub(super) fn resolve(
        &mut self,
        core: &mut Core,
        request: u64,
        by: &str,
        keep: Option<&str>,
    ) -> Result<(), Refusal> {
        let found: Vec<(u64, Evidence)> = self
            .evidence
            .iter()
            .filter(|(_, evidence)| evidence.stops(&self.state.entity))
            .map(|(number, evidence)| (*number, evidence.clone()))
            .collect();
        if found.is_empty() {
            let text = "nothing was found on this member that would have to be acknowledged";
            return Err(Refusal::new(Code::NothingToResolve, text).try_("see how it is", "althing status"));
        }
        for (_, evidence) in &found {
            self.may_resolve(evidence, keep)?;
        }
        // What was promised before is durable when this is. What is promised from now on is not, and casts itself.
        let promised = self.promised();
        let mut writes = Vec::new();
        for (number, mut evidence) in found {
            evidence.resolved = Some((by.to_owned(), core.now.wall));
            writes.push(saved::put_evidence(number, &evidence));
            let text = format!("{} is acknowledged by {by}: settling goes on", self.named(&evidence));
            core.event(Event::new(Severity::Notice, "evidence.resolved", text));
            self.evidence.insert(number, evidence);
        }
        core.persist(writes, Durable::Resolved(request, promised));
        Ok(())
    }

    /// What was found is durably acknowledged. A member that started while it was stopped has not cast again what it had
    /// promised; its votes may be on no other board any more, and it cannot vote otherwise.
    pub(super) fn resolved(&mut self, core: &mut Core, request: u64, promised: Vec<Vote>) {
        self.reply(core, request, Ok(crate::control::Outcome::Done));
        self.cast(core, promised);
    }

    fn may_resolve(&self, evidence: &Evidence, keep: Option<&str>) -> Result<(), Refusal> {
        if matches!(evidence.what, Contradiction::Statements(..)) {
            return Ok(());
        }
        let Some(keep) = keep else {
            let needed =
                self.why_stopped().unwrap_or_else(|| Refusal::new(Code::Contradiction, String::new()));
            let refusal = Refusal { code: Code::KeepNeeded, ..needed };
            return Err(refusal.fact("needed", "--keep HASH: the record whose branch goes on"));
        };
        let keep: Hash = keep.parse().map_err(|_| {
            Refusal::new(Code::Input, format!("{keep} is not a hash: b3: and 64 hexadecimal digits"))
                .try_("see the two", "althing status")
        })?;
        let since = match &evidence.what {
            Contradiction::Fork(_) => evidence.epoch,
            _ => 0,
        };
        if self.trail.epoch_of(&keep).is_some_and(|epoch| epoch >= since) {
            return Ok(());
        }
        let text = format!("{} is not in the chain of this member since epoch {since}", keep.short());
        Err(Refusal::new(Code::OtherBranch, text)
            .fact("so", "this member is on the other branch, or the hash is of neither or older than it remembers; nothing was changed")
            .fact("back", "forget what was settled here, then join anew; content in place stays")
            .try_("forget it", "althing leave --purge")
            .try_("and join, with an invitation of the branch that is kept", "althing join"))
    }

    pub(super) fn named(&self, evidence: &Evidence) -> String {
        let epoch = evidence.epoch;
        match &evidence.what {
            Contradiction::Statements(both) => {
                format!("the contradiction of {} in epoch {epoch}", self.state.name_of(&both.0.author))
            }
            Contradiction::Fork(link) => {
                format!("the fork of epoch {epoch} ({} elsewhere)", link.certificate.value.short())
            }
            Contradiction::Succession(succession) => {
                format!("the successor {} of epoch {epoch}", succession.successor.short())
            }
        }
    }
}
