//! Whole networks in one process, on loopback.

mod exchange;
mod faults;
mod joining;
mod lines;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::{Net, NetConfig, NetError, NetEvent, Peer, PeerKey, Speech};

/// Nothing on loopback takes so long, however busy the machine is.
const LONG: Duration = Duration::from_secs(30);
/// Long enough to be fairly sure that nothing comes.
const QUIET: Duration = Duration::from_millis(700);

/// A member and what its network told it.
struct Node {
    net: Net,
    events: mpsc::Receiver<NetEvent>,
}

fn config(seed: u8) -> NetConfig {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    NetConfig { secret: [seed; 32], listen: any, bulk_listen: any, speech: Speech::Lines }
}

async fn start(seed: u8) -> Node {
    let (net, events) = Net::start(config(seed)).await.unwrap();
    Node { net, events }
}

impl Node {
    fn key(&self) -> PeerKey {
        self.net.key()
    }

    fn peer(&self) -> (PeerKey, Peer) {
        let (control, bulk) = self.net.listening();
        (self.key(), Peer { control: vec![control], bulk: vec![bulk] })
    }

    /// The first event for which `wanted` has a result; the events before it are thrown away.
    async fn wait<T>(&mut self, mut wanted: impl FnMut(NetEvent) -> Option<T>) -> T {
        let found = async {
            loop {
                let event = self.events.recv().await.expect("the network stopped");
                if let Some(found) = wanted(event) {
                    return found;
                }
            }
        };
        timeout(LONG, found).await.expect("the event did not come")
    }

    async fn connected(&mut self, to: PeerKey) {
        self.wait(|event| matches!(event, NetEvent::Connected(peer) if peer == to).then_some(())).await;
    }

    async fn disconnected(&mut self, from: PeerKey) {
        self.wait(|event| matches!(event, NetEvent::Disconnected(peer) if peer == from).then_some(())).await;
    }

    async fn message(&mut self) -> (PeerKey, Vec<u8>) {
        self.wait(|event| match event {
            NetEvent::Message { from, bytes } => Some((from, bytes)),
            _ => None,
        })
        .await
    }

    async fn bulk(&mut self) -> (PeerKey, super::BulkStream) {
        self.wait(|event| match event {
            NetEvent::Bulk { from, stream } => Some((from, stream)),
            _ => None,
        })
        .await
    }

    /// Answers the next request or join with its body, reversed; says who asked.
    async fn answer(&mut self) -> PeerKey {
        self.wait(|event| match event {
            NetEvent::Request { from, mut body, reply } | NetEvent::Join { from, mut body, reply, .. } => {
                body.reverse();
                reply.send(body).unwrap();
                Some(from)
            }
            _ => None,
        })
        .await
    }

    /// Says it again and again until the other has it: right after a reconnection some is lost.
    async fn say_until_heard(&self, other: &mut Node, text: &[u8]) -> Duration {
        let (start, to) = (Instant::now(), other.key());
        let heard = async { while other.message().await != (self.key(), text.to_vec()) {} };
        let say = async {
            loop {
                self.net.send(to, text.to_vec()).unwrap();
                sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::select! {
            () = heard => start.elapsed(),
            () = say => unreachable!("it speaks forever"),
        }
    }
}

/// Everybody gets everybody as a peer.
fn introduce(nodes: &[&Node]) {
    let peers: BTreeMap<_, _> = nodes.iter().map(|node| node.peer()).collect();
    for node in nodes {
        node.net.set_peers(peers.clone());
    }
}

/// Two members that are connected.
async fn pair(seeds: [u8; 2]) -> (Node, Node) {
    let (mut a, mut b) = (start(seeds[0]).await, start(seeds[1]).await);
    introduce(&[&a, &b]);
    a.connected(b.key()).await;
    b.connected(a.key()).await;
    (a, b)
}

/// Asks until there is a connection.
async fn ask(node: &Node, to: PeerKey, body: &[u8]) -> Result<Vec<u8>, NetError> {
    let start = Instant::now();
    loop {
        match node.net.request(to, body.to_vec(), LONG).await {
            Err(NetError::NotConnected) if start.elapsed() < LONG => sleep(Duration::from_millis(20)).await,
            other => return other,
        }
    }
}
