//! Strangers: what they may do, and how one becomes a peer.

use super::super::limits::JOIN_REQUEST;
use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_may_only_ask_to_join() {
    let (mut a, mut c) = (start(1).await, start(3).await);
    let (a_key, c_key) = (a.key(), c.key());
    c.net.set_peers([a.peer()].into());
    assert!(matches!(ask(&c, a_key, b"let me in").await, Err(NetError::Stranger)));
    for _ in 0..10 {
        c.net.send(a_key, b"hello".to_vec()).unwrap();
        sleep(QUIET / 10).await;
    }
    assert!(c.net.open_bulk(a_key).await.is_err());
    let heard = a.events.try_recv();
    assert!(heard.is_err(), "a stranger was heard: {heard:?}");

    let told = c.events.try_recv();
    assert!(told.is_err(), "the stranger believed to be connected: {told:?}");

    let address = a.net.listening().0;
    let (joined, from) = tokio::join!(c.net.join(address, b"abc".to_vec(), LONG), a.answer());
    assert_eq!((joined, from), (Ok((a_key, b"cba".to_vec())), c_key));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_joins_and_is_a_peer() {
    let (mut a, mut b) = (start(1).await, start(2).await);
    let address = a.net.listening().0;
    let (joined, _) = tokio::join!(b.net.join(address, b"abc".to_vec(), LONG), async {
        let reply = a.wait(|event| match event {
            NetEvent::Join { remote, reply, .. } => Some((remote, reply)),
            _ => None,
        });
        let (remote, reply) = reply.await;
        assert!(remote.ip().is_loopback());
        // The member takes it in before it answers: the answer must still arrive.
        a.net.set_peers([b.peer()].into());
        sleep(QUIET).await;
        reply.send(b"welcome".to_vec()).unwrap();
    });
    assert_eq!(joined, Ok((a.key(), b"welcome".to_vec())));
    b.net.set_peers([a.peer()].into());
    b.connected(a.key()).await;
    a.say_until_heard(&mut b, b"you are a peer").await;
    b.say_until_heard(&mut a, b"so I am").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answer_arrives_however_soon_the_stranger_is_a_peer() {
    let mut a = start(1).await;
    let address = a.net.listening().0;
    for newcomer in 2..12 {
        let b = start(newcomer).await;
        let (joined, _) = tokio::join!(b.net.join(address, b"abc".to_vec(), LONG), async {
            let reply = a.wait(|event| match event {
                NetEvent::Join { reply, .. } => Some(reply),
                _ => None,
            });
            let reply = reply.await;
            reply.send(b"welcome".to_vec()).unwrap();
            a.net.set_peers([b.peer()].into());
        });
        assert_eq!(joined, Ok((a.key(), b"welcome".to_vec())));
        b.net.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_join_that_cannot_be_says_why() {
    let (a, b) = (start(1).await, start(2).await);
    let address = a.net.listening().0;
    let large = b.net.join(address, vec![0; JOIN_REQUEST + 1], LONG).await;
    assert!(matches!(large, Err(NetError::TooLarge { .. })));
    let itself = b.net.join(b.net.listening().0, vec![], LONG).await;
    assert!(matches!(itself, Err(NetError::Unreachable { .. })), "{itself:?}");
    a.net.shutdown().await;
    let nobody = b.net.join(address, vec![], LONG).await;
    assert!(said(&nobody).contains("nothing listens on this port"), "{nobody:?}");
    // Something else has the port.
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap();
    let speaks = std::thread::spawn(move || {
        let (mut stream, _) = other.accept().unwrap();
        std::io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
    });
    let stranger = b.net.join(address, vec![], LONG).await;
    assert!(said(&stranger).contains("does not speak as a member does"), "{stranger:?}");
    speaks.join().unwrap();
}

/// What people are told.
fn said(answer: &Result<(PeerKey, Vec<u8>), NetError>) -> String {
    match answer {
        Err(NetError::Unreachable { reason, .. }) => reason.clone(),
        _ => String::new(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_removed_is_disconnected_and_may_come_back() {
    let (mut a, mut b) = pair([1, 2]).await;
    a.net.set_peers(BTreeMap::new());
    a.disconnected(b.key()).await;
    b.disconnected(a.key()).await;
    introduce(&[&a, &b]);
    a.connected(b.key()).await;
    b.say_until_heard(&mut a, b"again").await;
    a.say_until_heard(&mut b, b"again").await;
}
