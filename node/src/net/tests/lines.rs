//! Lines: programs that do not speak them, and peers that do with them what they may not.

use althing_protocol::conduct::Offence;
use althing_protocol::frame::Frame;
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::PeerId;
use libp2p::request_response::{self, Event, Message, ProtocolSupport};
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p_stream::{Control, IncomingStreams};

use super::super::address::peer_id;
use super::super::codec::{FrameCodec, Room, Said};
use super::super::limits::{
    ASK_AFTER, CONTROL_IDLE, CONTROL_MESSAGE, LANE_MESSAGES, LINE_BYTES, MESSAGE_TIMEOUT, READING,
};
use super::super::lines::LINE_PROTOCOL;
use super::super::quiet::Pings;
use super::super::swarms::{self, CONTROL_PROTOCOL, Exchange};
use super::*;

/// A peer that answers greetings and does on lines whatever a test likes.
struct Raw {
    key: PeerKey,
    lines: Control,
    /// What others open.
    opened: IncomingStreams,
}

#[derive(NetworkBehaviour)]
struct RawBehaviour {
    control: Exchange,
    streams: libp2p_stream::Behaviour,
}

impl Raw {
    /// Listens, and `a` has it as its only peer.
    async fn start(seed: u8, a: &mut Node) -> Self {
        let (key, pair) = swarms::identity([seed; 32]).unwrap();
        let codec = FrameCodec { request: CONTROL_MESSAGE, response: 0, room: Room::new(READING) };
        let protocols = [(CONTROL_PROTOCOL, ProtocolSupport::Full)];
        let behaviour = RawBehaviour {
            control: Exchange::with_codec(codec, protocols, request_response::Config::default()),
            streams: libp2p_stream::Behaviour::new(),
        };
        let mut swarm = swarms::build(&pair, behaviour, Pings::Often, CONTROL_IDLE).unwrap();
        let address = swarms::listen(&mut swarm, SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let mut lines = swarm.behaviour_mut().streams.new_control();
        let opened = lines.accept(LINE_PROTOCOL).unwrap();
        tokio::spawn(async move {
            loop {
                if let SwarmEvent::Behaviour(RawBehaviourEvent::Control(Event::Message {
                    message: Message::Request { channel, .. },
                    ..
                })) = swarm.select_next_some().await
                {
                    let _ = swarm.behaviour_mut().control.send_response(channel, Frame::Taken);
                }
            }
        });
        let peer = Peer { control: vec![address], bulk: Vec::new() };
        a.net.set_peers([(key, peer)].into());
        a.connected(key).await;
        Self { key, lines, opened }
    }

    async fn line(&mut self, to: &Node) -> libp2p::Stream {
        let to: PeerId = peer_id(&to.key()).unwrap();
        self.lines.open_stream(to, LINE_PROTOCOL).await.unwrap()
    }
}

fn message(text: &[u8]) -> Vec<u8> {
    Said::Message(text.to_vec()).encode()
}

async fn offended(node: &mut Node) -> Offence {
    node.wait(|event| if let NetEvent::Offended { what, .. } = event { Some(what) } else { None }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_without_lines_and_one_with_them_lose_no_message() {
    let mut a = start(1).await;
    let older = NetConfig { speech: Speech::Exchanges, ..config(2) };
    let (net, events) = Net::start(older).await.unwrap();
    let mut b = Node { net, events };
    introduce(&[&a, &b]);
    a.connected(b.key()).await;
    b.connected(a.key()).await;
    let count = u32::try_from(LANE_MESSAGES).unwrap();
    for n in 0..count {
        a.net.send(b.key(), n.to_be_bytes().to_vec()).unwrap();
        b.net.send(a.key(), n.to_be_bytes().to_vec()).unwrap();
    }
    for node in [&mut a, &mut b] {
        let mut received = Vec::new();
        for _ in 0..count {
            received.push(u32::from_be_bytes(node.message().await.1.try_into().unwrap()));
        }
        received.sort_unstable();
        assert!(received.into_iter().eq(0..count));
    }
    for (node, other) in [(&a, b.key()), (&b, a.key())] {
        assert_eq!(node.net.status()[&other].dropped, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_come_in_their_order_in_few_pieces() {
    let (mut a, mut b) = (start(1).await, start(3).await);
    let mut raw = Raw::start(2, &mut a).await;
    let mut line = raw.line(&a).await;
    // Two at once, and one byte after byte.
    line.write_all(&[message(b"one"), message(b"two")].concat()).await.unwrap();
    for byte in message(b"three") {
        line.write_all(&[byte]).await.unwrap();
        line.flush().await.unwrap();
    }
    for text in [&b"one"[..], b"two", b"three"] {
        assert_eq!(a.message().await, (raw.key, text.to_vec()));
    }
    // Another line takes the place of the one before.
    let mut line = raw.line(&a).await;
    line.write_all(&message(b"four")).await.unwrap();
    line.flush().await.unwrap();
    assert_eq!(a.message().await.1, b"four");
    drop(line);
    let mut line = raw.line(&a).await;
    line.write_all(&message(b"five")).await.unwrap();
    line.flush().await.unwrap();
    assert_eq!(a.message().await.1, b"five");
    introduce(&[&a, &b]);
    a.say_until_heard(&mut b, b"and others").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_read_its_line_loses_messages_and_holds_few() {
    const COUNT: usize = 6;
    let mut a = start(1).await;
    let mut raw = Raw::start(2, &mut a).await;
    let mut line = raw.line(&a).await;
    // It speaks, so the connection lives.
    let speaking = tokio::spawn(async move {
        while line.write_all(&message(b"I live")).await.is_ok() && line.flush().await.is_ok() {
            sleep(ASK_AFTER / 10).await;
        }
    });
    (0..COUNT).for_each(|_| a.net.send(raw.key, vec![7; 1 << 20]).unwrap());
    let start = Instant::now();
    let unread = raw.opened.next().await.unwrap();
    let status = a.net.status()[&raw.key];
    assert!(status.waiting >= COUNT - 2 && LINE_BYTES < 1 << 20, "they wait in their lane: {status:?}");
    assert_eq!(status.dropped, 0);
    while a.net.status()[&raw.key].dropped < 2 {
        assert!(start.elapsed() < LONG, "{:?}", a.net.status());
        sleep(Duration::from_millis(50)).await;
    }
    assert!(start.elapsed() >= MESSAGE_TIMEOUT, "{:?}", start.elapsed());
    let heard = a.message().await;
    assert_eq!((heard, a.net.status()[&raw.key].connected), ((raw.key, b"I live".to_vec()), true));
    drop(unread);
    speaking.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_never_ends_or_is_too_long_or_nothing_is_told_and_costs_the_line() {
    let mut a = start(1).await;
    let mut raw = Raw::start(2, &mut a).await;
    let mut line = raw.line(&a).await;
    line.write_all(&u32::MAX.to_be_bytes()).await.unwrap();
    line.flush().await.unwrap();
    assert_eq!(offended(&mut a).await, Offence::Malformed);
    let mut line = raw.line(&a).await;
    line.write_all(&[0, 0xff, 0xff, 0xff]).await.unwrap();
    line.flush().await.unwrap();
    assert_eq!(offended(&mut a).await, Offence::Malformed);
    let mut line = raw.line(&a).await;
    line.write_all(&message(&[1; 100])[..50]).await.unwrap();
    line.flush().await.unwrap();
    assert_eq!(offended(&mut a).await, Offence::Slow);
    let mut line = raw.line(&a).await;
    line.write_all(&message(b"and yet it is heard")).await.unwrap();
    line.flush().await.unwrap();
    assert_eq!(a.message().await.1, b"and yet it is heard");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_without_end_is_told_as_a_flood_and_holds_few_answers() {
    let mut a = start(1).await;
    let mut raw = Raw::start(2, &mut a).await;
    let mut line = raw.line(&a).await;
    let hello = Said::Hello.encode();
    let asking = async {
        while line.write_all(&hello.repeat(100)).await.is_ok() && line.flush().await.is_ok() {}
        std::future::pending::<()>().await;
    };
    let told = tokio::select! {
        told = offended(&mut a) => told,
        () = asking => unreachable!("it asks forever"),
    };
    assert_eq!(told, Offence::Flood);
    let mut unread = raw.opened.next().await.unwrap().1;
    let mut answer = vec![0; Said::Taken.encode().len()];
    unread.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, Said::Taken.encode());
}
