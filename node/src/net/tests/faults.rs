//! Restarts, dead connections, cut wires and taken ports.

use std::thread;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime;
use tokio::sync::oneshot;

use super::*;

/// Runs a member on a runtime of its own and stops running it when it is connected to `to`: its sockets stay
/// open and the kernel still acknowledges, as with a machine that is paused. The result keeps it so.
fn frozen(
    seed: u8,
    to: (PeerKey, Peer),
    age: Duration,
) -> (thread::JoinHandle<impl Sized>, oneshot::Receiver<(PeerKey, Peer)>) {
    let (introduce, introduced) = oneshot::channel();
    let thread = thread::spawn(move || {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let node = runtime.block_on(async {
            let mut node = start(seed).await;
            introduce.send(node.peer()).unwrap();
            let key = to.0;
            node.net.set_peers([to].into());
            node.connected(key).await;
            let _stream = node.net.open_bulk(key).await.unwrap();
            sleep(age).await;
            node
        });
        (node, runtime)
    });
    (thread, introduced)
}

async fn heard_after_a_restart_while_frozen(seeds: [u8; 2], age: Duration) -> Duration {
    let mut a = start(seeds[0]).await;
    let (thread, introduced) = frozen(seeds[1], a.peer(), age);
    let old = introduced.await.unwrap();
    a.net.set_peers([old.clone()].into());
    a.connected(old.0).await;
    let frozen = tokio::task::spawn_blocking(|| thread.join().unwrap()).await.unwrap();

    let mut new = start(seeds[1]).await;
    assert_eq!(new.key(), old.0);
    new.net.set_peers([a.peer()].into());
    let heard = new.say_until_heard(&mut a, b"I am back").await;
    let answered = a.say_until_heard(&mut new, b"so I see").await;
    a.net.set_peers([new.peer()].into());
    let key = new.key();
    let (up, (_, mut stream)) = tokio::join!(a.net.open_bulk(key), new.bulk());
    let mut up = up.unwrap();
    up.write_all(b"bulk").await.unwrap();
    let mut bytes = [0; 4];
    stream.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"bulk");
    tokio::task::spawn_blocking(move || drop(frozen)).await.unwrap();
    heard + answered
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_member_is_heard_while_its_dead_connection_is_open() {
    for seeds in [[1, 2], [2, 1]] {
        let took = heard_after_a_restart_while_frozen(seeds, Duration::from_millis(1500)).await;
        assert!(took < Duration::from_secs(4), "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn even_one_that_died_right_after_connecting() {
    for seeds in [[1, 2], [2, 1]] {
        let took = heard_after_a_restart_while_frozen(seeds, Duration::ZERO).await;
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_member_is_noticed_by_whoever_speaks_to_it() {
    let mut a = start(1).await;
    let (thread, introduced) = frozen(2, a.peer(), Duration::from_millis(100));
    let old = introduced.await.unwrap();
    a.net.set_peers([(old.0, Peer::default())].into());
    a.connected(old.0).await;
    let frozen = tokio::task::spawn_blocking(|| thread.join().unwrap()).await.unwrap();
    let start = Instant::now();
    a.net.send(old.0, b"do you hear me".to_vec()).unwrap();
    a.disconnected(old.0).await;
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    tokio::task::spawn_blocking(move || drop(frozen)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_restarts_on_the_same_ports_is_heard_at_once() {
    for seeds in [[1, 2], [2, 1]] {
        let (mut a, b) = pair(seeds).await;
        let (key, (listen, bulk_listen)) = (b.key(), b.net.listening());
        b.net.shutdown().await;
        a.disconnected(key).await;
        let config = NetConfig { listen, bulk_listen, ..config(seeds[1]) };
        let (net, events) = Net::start(config).await.expect("the old one has left its ports");
        let mut b = Node { net, events };
        b.net.set_peers([a.peer()].into());
        let took = b.say_until_heard(&mut a, b"again").await;
        assert!(took < Duration::from_secs(5), "{took:?}");
        a.say_until_heard(&mut b, b"again").await;
    }
}

/// Nobody waits for ever on a stream whose connection we closed ourselves: a member serves few at a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_end_when_their_peer_is_cut_off() {
    let (a, mut b) = pair([1, 2]).await;
    let key = b.key();
    let (up, (_, mut down)) = tokio::join!(a.net.open_bulk(key), b.bulk());
    let mut up = up.unwrap();
    let (asking, serving) = (tokio::spawn(async move { up.read_u8().await }), async { down.read_u8().await });
    sleep(Duration::from_millis(200)).await;
    let start = Instant::now();
    a.net.set_blocked([key].into());
    let (asking, serving) = tokio::join!(timeout(LONG, asking), timeout(LONG, serving));
    assert!(asking.unwrap().unwrap().is_err());
    assert!(serving.unwrap().is_err());
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_survivor_dials_too() {
    let (mut a, b) = pair([1, 2]).await;
    let (key, (listen, bulk_listen)) = (b.key(), b.net.listening());
    b.net.shutdown().await;
    a.disconnected(key).await;
    let config = NetConfig { listen, bulk_listen, ..config(2) };
    let (net, events) = Net::start(config).await.unwrap();
    let mut b = Node { net, events };
    // It knows a, but not where a is.
    b.net.set_peers([(a.key(), Peer::default())].into());
    a.say_until_heard(&mut b, b"there you are").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_wire_carries_nothing_until_it_is_mended() {
    let (mut a, mut b) = pair([1, 2]).await;
    let (a_key, b_key) = (a.key(), b.key());
    let mut stream = a.net.open_bulk(b_key).await.unwrap();
    let (_, mut other_end) = b.bulk().await;
    a.net.set_blocked([b_key].into());
    a.disconnected(b_key).await;
    b.disconnected(a_key).await;
    let broken = async {
        while stream.write_all(&[0; 1000]).await.is_ok() {
            sleep(Duration::from_millis(10)).await;
        }
        let _ = other_end.read_to_end(&mut Vec::new()).await;
    };
    timeout(LONG, broken).await.expect("the bulk stream ends");
    for _ in 0..10 {
        a.net.send(b_key, vec![1]).unwrap();
        b.net.send(a_key, vec![1]).unwrap();
        sleep(QUIET / 10).await;
    }
    assert_eq!(a.net.request(b_key, vec![1], LONG).await, Err(NetError::NotConnected));
    assert_eq!(a.net.open_bulk(b_key).await.err(), Some(NetError::NotConnected));
    assert!(b.net.open_bulk(a_key).await.is_err());
    assert!(a.events.try_recv().is_err(), "something came through");
    let messages = std::iter::from_fn(|| b.events.try_recv().ok());
    assert_eq!(messages.count(), 0, "something came through, or the other side believed to be connected");

    a.net.set_blocked([].into());
    let took = a.say_until_heard(&mut b, b"mended").await;
    assert!(took < Duration::from_secs(5), "{took:?}");
    b.say_until_heard(&mut a, b"mended").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn simultaneous_dials_end_with_both_connected() {
    for round in 0..10 {
        let (mut a, mut b) = pair([1, 2]).await;
        sleep(QUIET).await;
        a.say_until_heard(&mut b, b"a").await;
        b.say_until_heard(&mut a, b"b").await;
        // Both lose the connection at the same time and dial at the same time.
        for node in [&a, &b] {
            node.net.set_blocked([a.key(), b.key()].into());
        }
        a.disconnected(b.key()).await;
        b.disconnected(a.key()).await;
        for node in [&a, &b] {
            node.net.set_blocked([].into());
        }
        a.say_until_heard(&mut b, b"a again").await;
        b.say_until_heard(&mut a, b"b again").await;
        sleep(QUIET).await;
        for (node, other) in [(&a, b.key()), (&b, a.key())] {
            assert!(node.net.status()[&other].connected, "round {round}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_port_is_a_clear_error() {
    let a = start(1).await;
    let (control, bulk) = a.net.listening();
    for address in [control, bulk] {
        let config = NetConfig { listen: address, ..config(2) };
        assert_eq!(Net::start(config).await.err(), Some(NetError::PortTaken { address }));
    }
    let config = NetConfig { bulk_listen: bulk, ..config(2) };
    assert_eq!(Net::start(config).await.err(), Some(NetError::PortTaken { address: bulk }));
    a.net.shutdown().await;
    let config = NetConfig { listen: control, ..self::config(2) };
    assert!(Net::start(config).await.is_ok(), "a port that was left can be taken");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_shutdown_everything_says_closed() {
    let (a, mut b) = pair([1, 2]).await;
    a.net.shutdown().await;
    b.disconnected(a.key()).await;
    assert_eq!(a.net.request(b.key(), vec![1], LONG).await, Err(NetError::Closed));
    assert_eq!(a.net.open_bulk(b.key()).await.err(), Some(NetError::Closed));
    a.net.shutdown().await;
}
