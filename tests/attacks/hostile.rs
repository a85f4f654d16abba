//! A member that went bad: it has the key, store and chain of a member whose daemon was killed, and says what it likes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use althing_node::net::{BulkStream, Net, NetConfig, NetEvent, Peer, PeerKey, Speech};
use althing_protocol::codec;
use althing_protocol::effect::{Family, Want};
use althing_protocol::hash::{Hash, unhex};
use althing_protocol::identity::{Identity, MemberId};
use althing_protocol::member::saved::Saved;
use althing_protocol::record::{Change, Record};
use althing_protocol::state::State;
use althing_protocol::statement::{Checked, Envelope, Id16, Intent, Position, Signed, Statement};
use althing_protocol::time::WallTime;
use althing_protocol::wire::Message;
use althing_store::Store;
use althing_tests::wait_until;
use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;

/// Everything that the network does by itself is done within this.
const PATIENCE: Duration = Duration::from_secs(60);
/// Far above any incarnation of an honest life of the key.
const INCARNATION: u64 = 1000;

/// What it has heard, and how it serves content.
#[derive(Default)]
pub(crate) struct Heard {
    pub(crate) connected: BTreeSet<PeerKey>,
    pub(crate) pushed: Vec<Signed>,
    pub(crate) epoch: u64,
    pub(crate) head: Hash,
    pub(crate) serving: Serving,
    /// Requests for content that came.
    pub(crate) asked: u64,
    /// What was asked for in them of large files.
    pub(crate) outlines: u64,
    pub(crate) parts: u64,
}

/// What the asker of content gets.
#[derive(Clone, Default)]
pub(crate) enum Serving {
    /// What it asks for, if it is here.
    #[default]
    Nothing,
    /// These directories and files, by name.
    Content(BTreeMap<Hash, Vec<u8>>),
    /// As many zeros as it wants, whatever it wants.
    Zeros,
    /// The head of an answer that never ends.
    Endless,
    /// These directories, this as the outline of any file, and parts that are zeros or something else.
    Large(BTreeMap<Hash, Vec<u8>>, Vec<u8>),
    /// Nothing at all, on a stream that stays open.
    Silence,
}

pub(crate) struct Hostile {
    pub(crate) runtime: Runtime,
    pub(crate) net: Net,
    pub(crate) identity: Identity,
    pub(crate) state: State,
    pub(crate) honest: Vec<PeerKey>,
    pub(crate) heard: Arc<Mutex<Heard>>,
    /// Streams that it keeps open.
    pub(crate) held: Vec<BulkStream>,
    store: Id16,
    sequence: u64,
}

impl Hostile {
    /// Takes over from a daemon that was killed, at its addresses.
    pub(crate) fn take_over(directory: &Path, listen: &str, bulk: &str) -> Result<Self> {
        let text = std::fs::read_to_string(directory.join("key"))?;
        let secret: [u8; 32] =
            unhex(text.trim()).and_then(|bytes| bytes.try_into().ok()).context("a key of 32 bytes")?;
        let saved = {
            let store = Store::open(directory)?;
            Saved::read(store.read_all(Family::Meta)?, store.read_all(Family::Votes)?)?
        };
        let (head, life) = (saved.head.context("a head")?, saved.life.context("a life")?);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let config =
            NetConfig { secret, listen: listen.parse()?, bulk_listen: bulk.parse()?, speech: Speech::Lines };
        let (net, events) = runtime.block_on(Net::start(config))?;
        let heard = Heard { epoch: head.state.epoch, head: head.record, ..Heard::default() };
        let heard = Arc::new(Mutex::new(heard));
        runtime.spawn(listen_to(events, Arc::clone(&heard)));
        let identity = Identity::from_seed(secret);
        let others = head.state.members.iter().filter(|member| member.id != identity.id());
        let peers: BTreeMap<PeerKey, Peer> = others
            .map(|member| {
                let control = member.addresses.iter().map(|address| address.control).collect();
                let bulk = member.addresses.iter().map(|address| address.bulk).collect();
                (member.id.0, Peer { control, bulk })
            })
            .collect();
        let honest = peers.keys().copied().collect();
        net.set_peers(peers);
        let (state, store) = (head.state, life.store);
        Ok(Self { runtime, net, identity, state, honest, heard, held: Vec::new(), store, sequence: 0 })
    }

    pub(crate) fn heard<T>(&self, look: impl FnOnce(&mut Heard) -> T) -> T {
        look(&mut self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until every honest member has it as a peer: whoever was left alone is taken back after a while.
    pub(crate) fn connected(&self) -> Result<()> {
        wait_until(PATIENCE, "the hostile member is connected", || {
            let connected = self.heard(|heard| heard.connected.len());
            if connected == self.honest.len() { Ok(()) } else { Err(format!("to {connected}")) }
        })?;
        Ok(())
    }

    /// Catches up with the chain.
    pub(crate) fn catch_up(&mut self) -> Result<()> {
        let mut last = None;
        wait_until(PATIENCE, "the hostile member has caught up", || {
            let epoch = self.heard(|heard| heard.epoch);
            self.tell(&Message::GetChain(epoch)).map_err(|error| error.to_string())?;
            std::thread::sleep(Duration::from_millis(150));
            let settled = last == Some(epoch) && self.heard(|heard| heard.epoch) == epoch;
            last = Some(epoch);
            if settled { Ok(()) } else { Err(format!("epoch {epoch}")) }
        })?;
        Ok(())
    }

    pub(crate) fn entity(&self) -> Hash {
        self.state.entity
    }

    /// Epoch and head as it knows them.
    pub(crate) fn head(&self) -> (u64, Hash) {
        self.heard(|heard| (heard.epoch, heard.head))
    }

    /// Signs with its own good key, in its own good place.
    pub(crate) fn sign(&mut self, statement: Statement) -> Signed {
        self.sequence += 1;
        let position = Position { incarnation: INCARNATION, sequence: self.sequence };
        self.sign_at(self.entity(), position, statement)
    }

    pub(crate) fn sign_at(&self, entity: Hash, position: Position, statement: Statement) -> Signed {
        let envelope = Envelope { entity, store: self.store, position, statement };
        Checked::sign(&self.identity, envelope).signed().clone()
    }

    pub(crate) fn intent(&mut self, at: WallTime, seen: u64, change: Change) -> Signed {
        self.sequence += 1;
        let id = Id16(u128::from(self.sequence).to_be_bytes());
        self.sign(Statement::Intent(Box::new(Intent {
            id,
            seen,
            at,
            by: "mallory".into(),
            change,
            mandate: Default::default(),
        })))
    }

    /// Sends bytes to every honest member.
    pub(crate) fn send(&self, bytes: &[u8]) -> Result<()> {
        for peer in &self.honest {
            self.net.send(*peer, bytes.to_vec())?;
        }
        Ok(())
    }

    pub(crate) fn tell(&self, message: &Message) -> Result<()> {
        self.send(&message.encode())
    }

    pub(crate) fn push(&self, statements: Vec<Signed>) -> Result<()> {
        self.tell(&Message::Push(statements))
    }

    /// So many bulk streams to the first honest member.
    pub(crate) fn streams(&self, count: usize) -> Vec<BulkStream> {
        self.runtime.block_on(async {
            let mut open = Vec::new();
            for _ in 0..count {
                if let Ok(stream) = self.net.open_bulk(self.honest[0]).await {
                    open.push(stream);
                }
            }
            open
        })
    }

    /// Writes to a bulk stream; that the other side ends it is no failure.
    pub(crate) fn write(&self, stream: &mut BulkStream, bytes: &[u8]) {
        self.runtime.block_on(async {
            let _ = stream.write_all(bytes).await;
            let _ = stream.flush().await;
        });
    }

    /// One API request to each honest member, and what it answers.
    pub(crate) fn ask(&self, body: &[u8]) -> Vec<Result<Vec<u8>, String>> {
        let asks = self.honest.iter().map(|peer| {
            let answer = self.net.request(*peer, body.to_vec(), Duration::from_secs(10));
            self.runtime.block_on(answer).map_err(|error| error.to_string())
        });
        asks.collect()
    }

    /// Originates a change and waits until the others have settled it.
    pub(crate) fn settle(&mut self, change: Change) -> Result<u64> {
        self.catch_up()?;
        let (epoch, _) = self.head();
        let at = WallTime(std::time::UNIX_EPOCH.elapsed()?.as_millis() as u64);
        let intent = self.intent(at, epoch, change);
        self.push(vec![intent])?;
        wait_until(PATIENCE, "the change of the hostile member is settled", || {
            let now = self.heard(|heard| heard.epoch);
            self.tell(&Message::GetChain(now)).map_err(|error| error.to_string())?;
            std::thread::sleep(Duration::from_millis(100));
            let now = self.heard(|heard| heard.epoch);
            if now > epoch { Ok(()) } else { Err(format!("epoch {now}")) }
        })?;
        Ok(self.head().0)
    }

    pub(crate) fn serve(&self, serving: Serving) {
        self.heard(|heard| {
            heard.serving = serving;
            (heard.asked, heard.outlines, heard.parts) = (0, 0, 0);
        });
    }

    /// Waits until somebody has asked it for content.
    pub(crate) fn is_asked(&self) -> Result<()> {
        wait_until(PATIENCE, "the hostile member is asked for content", || {
            if self.heard(|heard| heard.asked) > 0 { Ok(()) } else { Err("nobody asks".into()) }
        })?;
        Ok(())
    }

    /// Ids of the honest members.
    pub(crate) fn honest_ids(&self) -> impl Iterator<Item = MemberId> + '_ {
        self.honest.iter().map(|key| MemberId(*key))
    }
}

async fn listen_to(mut events: tokio::sync::mpsc::Receiver<NetEvent>, heard: Arc<Mutex<Heard>>) {
    while let Some(event) = events.recv().await {
        let mut state = heard.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            NetEvent::Connected(peer) => drop(state.connected.insert(peer)),
            NetEvent::Disconnected(peer) => drop(state.connected.remove(&peer)),
            NetEvent::Message { bytes, .. } => state.learn(&bytes),
            NetEvent::Bulk { stream, .. } => {
                state.asked += 1;
                tokio::spawn(give(stream, state.serving.clone(), Arc::clone(&heard)));
            }
            NetEvent::Request { .. }
            | NetEvent::Join { .. }
            | NetEvent::Offended { .. }
            | NetEvent::TurnedAway { .. } => {}
        }
    }
}

impl Heard {
    fn learn(&mut self, bytes: &[u8]) {
        match Message::decode(bytes) {
            Ok(Message::Push(statements)) if self.pushed.len() < 4096 => self.pushed.extend(statements),
            Ok(Message::Chain(links)) => {
                for link in &links {
                    if link.certificate.epoch == self.epoch + 1 {
                        (self.epoch, self.head) = (link.certificate.epoch, Record::hash_of(&link.record));
                    }
                }
            }
            _ => {}
        }
    }
}

/// Answers one request for content.
async fn give(mut stream: BulkStream, serving: Serving, heard: Arc<Mutex<Heard>>) -> Option<()> {
    let length = stream.read_u32().await.ok()?;
    let mut bytes = vec![0; length as usize];
    stream.read_exact(&mut bytes).await.ok()?;
    let wants: Vec<Want> = codec::decode(&bytes, 1 << 20).ok()?;
    {
        let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.outlines += wants.iter().filter(|want| matches!(want, Want::Outline(..))).count() as u64;
        heard.parts += wants.iter().filter(|want| matches!(want, Want::Part(..))).count() as u64;
    }
    for want in wants {
        let (name, size) = match want {
            Want::Directory(name) => (name, 64),
            Want::File(name, size) => (name, size),
            Want::Outline(name, _) => (name, 64),
            Want::Part(name, ..) => (name, want.bytes()?),
        };
        let body = match &serving {
            Serving::Nothing => None,
            Serving::Content(all) => all.get(&name).cloned(),
            Serving::Large(all, outline) => match want {
                Want::Directory(name) => all.get(&name).cloned(),
                Want::Outline(..) => Some(outline.clone()),
                Want::Part(_, _, index) if index % 2 == 0 => {
                    stream.write_all(&[2]).await.ok()?;
                    continue;
                }
                Want::Part(..) => Some(vec![0xee; usize::try_from(size).ok()?]),
                Want::File(..) => None,
            },
            Serving::Zeros => Some(vec![0; usize::try_from(size).ok()?]),
            Serving::Endless => {
                stream.write_all(&[1]).await.ok()?;
                stream.write_u64(1 << 40).await.ok()?;
                for _ in 0..1024 {
                    stream.write_all(&[0; 65536]).await.ok()?;
                }
                return Some(());
            }
            Serving::Silence => {
                tokio::time::sleep(Duration::from_secs(3600)).await;
                None
            }
        };
        match body {
            Some(body) => {
                stream.write_all(&[1]).await.ok()?;
                stream.write_u64(body.len() as u64).await.ok()?;
                stream.write_all(&body).await.ok()?;
            }
            None => stream.write_all(&[0]).await.ok()?,
        }
    }
    stream.flush().await.ok()?;
    // The asker ends the stream.
    let _ = stream.read_u8().await;
    Some(())
}

/// The address as a socket address.
pub(crate) fn address(text: &str) -> Result<SocketAddr> {
    let address = text.parse()?;
    ensure!(SocketAddr::ip(&address).is_loopback(), "{text} is not here");
    Ok(address)
}
