//! The chain on this member's disk, for those who audit it.

use std::sync::Arc;

use althing_protocol::audit::{Auditor, entries};
use althing_protocol::control::{Code, Refusal};
use althing_protocol::effect::Family;
use althing_protocol::identity::Scheme;
use althing_protocol::member::saved::read_link;
use althing_protocol::record::{Genesis, Link};
use althing_protocol::state::State;
use althing_protocol::time::WallTime;
use althing_protocol::view::{Audit, AuditEntry, Verified};
use althing_store::Store;
use tokio::sync::mpsc;

use super::reads::{flag, number};
use super::{Answered, Api, Call, document, wall};

/// Links read at once.
const CHUNK: usize = 64;
/// Changes in one answer, the newest ones.
const PAGE: usize = 5000;

impl Api {
    /// Every settled change that the filters take; with `verify`, the whole chain is checked from the genesis on.
    pub(super) async fn audit(&self, call: &Call) -> Answered {
        let since =
            number(call, "since_seconds")?.map_or(0, |ago| wall().0.saturating_sub(ago.saturating_mul(1000)));
        let since = WallTime(since).rfc3339();
        let (by, verify) = (call.query.get("by").cloned(), flag(call, "verify"));
        let facts = |member: &althing_protocol::member::Member, _: &crate::daemon::Live| {
            Some((member.state()?.clone(), member.genesis()))
        };
        let (state, genesis) = self.view(facts).await?;
        let store = Arc::clone(&self.shared.store);
        let work = tokio::task::spawn_blocking(move || {
            let takes =
                |entry: &AuditEntry| entry.at >= since && by.as_ref().is_none_or(|by| *by == entry.by);
            read(&store, &state, genesis.as_ref(), verify, takes)
        });
        let audit = work.await.map_err(|error| Refusal::new(Code::Failed, error.to_string()))??;
        document("althing.audit/1", &audit)
    }
}

/// Frames of a backup that wait for whoever asked for it.
const FRAMES: usize = 16;

impl Api {
    /// A backup of what this member has, frame by frame. An error ends it early, and then its seal is missing.
    pub(super) async fn backup(&self, call: &Call) -> Result<mpsc::Receiver<Vec<u8>>, Refusal> {
        if self.target(call).await?.is_some() {
            return Err(Refusal::new(
                Code::Input,
                "a backup is made by the member of the socket, not by another",
            ));
        }
        let content = flag(call, "content");
        let facts = self.view(|member, _| Some((member.genesis()?, member.state()?.clone()))).await?;
        let store = Arc::clone(&self.shared.store);
        if content {
            let (store, state) = (Arc::clone(&store), facts.1.clone());
            let lacks = tokio::task::spawn_blocking(move || lacks(&store, &state)).await;
            lacks.map_err(|error| Refusal::new(Code::Failed, error.to_string()))??;
        }
        let (frames, receiver) = mpsc::channel(FRAMES);
        tokio::task::spawn_blocking(move || {
            let mut out = |frame| frames.blocking_send(frame).map_err(anyhow::Error::from);
            if let Err(error) = crate::backup::write(&store, (&facts.0, &facts.1), wall(), content, &mut out)
            {
                tracing::warn!(error = format!("{error:#}"), "a backup was not finished");
            }
        });
        Ok(receiver)
    }
}

/// Refuses if content in force is not all here: before anything is sent.
fn lacks(store: &Store, state: &State) -> Result<(), Refusal> {
    for (name, application) in &state.applications {
        let Some(root) = application.root_hash() else { continue };
        let manifest =
            store.manifest(&root).map_err(|error| Refusal::new(Code::Failed, error.to_string()))?;
        if manifest.is_none() {
            let text = format!("this member does not hold all content of {name} yet");
            return Err(Refusal::new(Code::NoHolders, text)
                .try_("wait until it does", &format!("althing wait --for app/{name}=agreed")));
        }
    }
    Ok(())
}

fn read(
    store: &Store,
    state: &State,
    genesis: Option<&Genesis>,
    verify: bool,
    takes: impl Fn(&AuditEntry) -> bool,
) -> Result<Audit, Refusal> {
    let mut auditor = genesis.filter(|_| verify).map(Auditor::new);
    if verify && auditor.is_none() {
        return Err(Refusal::new(Code::ChainBroken, "this member has no genesis to begin with"));
    }
    let mut found = Vec::new();
    let first = genesis.map_or(0, |genesis| State::genesis(genesis).epoch);
    for_each_link(store, first..=state.epoch, |link| {
        let epoch = link.certificate.epoch;
        let broken = |error: althing_protocol::validity::Invalid| {
            Refusal::new(Code::ChainBroken, format!("the chain does not hold at epoch {epoch}"))
                .fact("reason", error)
                .try_("see whether another member's holds", "althing audit --verify --on MEMBER")
        };
        if let Some(auditor) = &mut auditor {
            auditor.check(link, Scheme::Ed25519).map_err(broken)?;
        }
        found.extend(entries(link, state, Scheme::Ed25519).map_err(broken)?.into_iter().filter(&takes));
        let surplus = found.len().saturating_sub(PAGE);
        found.drain(..surplus);
        Ok(())
    })?;
    let verified = auditor.map(|auditor| Verified {
        genesis: state.entity,
        records: auditor.state().epoch,
        votes: auditor.votes(),
        head: auditor.head(),
        is_in_force: auditor.state() == state,
    });
    match &verified {
        Some(verified) if !verified.is_in_force => {
            let text = format!(
                "the chain leads to epoch {}, and epoch {} is in force",
                verified.records, state.epoch
            );
            Err(Refusal::new(Code::ChainBroken, text))
        }
        _ => Ok(Audit { entries: found, verified }),
    }
}

/// All links after the epoch of a genesis, up to another, in order. (Of an entity that was begun anew, the chain of the
/// one before lies below.)
pub(crate) fn for_each_link(
    store: &Store,
    epochs: std::ops::RangeInclusive<u64>,
    mut take: impl FnMut(&Link) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let failed = |error: String| Refusal::new(Code::Failed, error);
    let mut from = epochs.start() + 1;
    loop {
        let chunk = store
            .read_from(Family::Chain, &from.to_be_bytes(), CHUNK)
            .map_err(|error| failed(error.to_string()))?;
        if chunk.is_empty() {
            return Ok(());
        }
        for (_, bytes) in &chunk {
            let link = read_link(bytes).map_err(|error| failed(error.to_string()))?;
            from = link.certificate.epoch + 1;
            if link.certificate.epoch > *epochs.end() {
                return Ok(());
            }
            take(&link)?;
        }
    }
}
