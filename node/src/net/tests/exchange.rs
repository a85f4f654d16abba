//! Messages, requests and bulk streams between members in good weather.

use std::time::{Duration, Instant};

use althing_protocol::conduct::Offence;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::limits::{API_BODY, API_REQUEST, CONTROL_MESSAGE, LANE_MESSAGES};
use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_members_exchange_messages_in_all_directions() {
    let mut nodes = [start(1).await, start(2).await, start(3).await];
    let keys: Vec<_> = nodes.iter().map(Node::key).collect();
    introduce(&nodes.iter().collect::<Vec<_>>());
    for node in &mut nodes {
        let mut missing: Vec<_> = keys.iter().filter(|key| **key != node.key()).collect();
        while !missing.is_empty() {
            let new =
                node.wait(|event| if let NetEvent::Connected(of) = event { Some(of) } else { None }).await;
            missing.retain(|key| **key != new);
        }
    }
    for node in &nodes {
        for to in &keys {
            node.net.send(*to, node.key().to_vec()).unwrap();
        }
    }
    for node in &mut nodes {
        let mut from = Vec::new();
        for _ in 0..2 {
            let (sender, bytes) = node.message().await;
            assert_eq!(sender.to_vec(), bytes);
            from.push(sender);
        }
        from.sort_unstable();
        let mut others: Vec<_> = keys.iter().filter(|key| **key != node.key()).copied().collect();
        others.sort_unstable();
        assert_eq!(from, others);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_messages_arrive_nearly_in_order() {
    let (a, mut b) = pair([1, 2]).await;
    let count = u32::try_from(LANE_MESSAGES).unwrap();
    for n in 0..count {
        a.net.send(b.key(), n.to_be_bytes().to_vec()).unwrap();
    }
    let mut received = Vec::new();
    for _ in 0..count {
        let (_, bytes) = b.message().await;
        received.push(u32::from_be_bytes(bytes.try_into().unwrap()));
    }
    let displaced = (0..count).zip(&received).filter(|(n, m)| n.abs_diff(**m) > 64).count();
    assert_eq!(displaced, 0, "{received:?}");
    received.sort_unstable();
    assert!(received.into_iter().eq(0..count));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_answered_both_ways() {
    let (mut a, mut b) = pair([1, 2]).await;
    let (a_key, b_key) = (a.key(), b.key());
    let (answer, from) = tokio::join!(a.net.request(b_key, b"abc".to_vec(), LONG), b.answer());
    assert_eq!((answer, from), (Ok(b"cba".to_vec()), a_key));
    let large: Vec<u8> = (0..API_REQUEST).map(|n| n.to_le_bytes()[0]).collect();
    let (answer, _) = tokio::join!(b.net.request(a_key, large.clone(), LONG), a.answer());
    assert!(answer.unwrap().into_iter().eq(large.into_iter().rev()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_without_an_answer_says_why() {
    let (a, mut b) = pair([1, 2]).await;
    let to = b.key();
    let short = Duration::from_millis(200);
    assert_eq!(a.net.request(to, vec![1], short).await, Err(NetError::Timeout));
    let request = |event| matches!(event, NetEvent::Request { .. }).then_some(());
    let (answer, ()) = tokio::join!(a.net.request(to, vec![2], LONG), async {
        b.wait(request).await; // The first one, too late.
        b.wait(request).await;
    });
    assert_eq!(answer, Err(NetError::Unanswered));
    let (answer, ()) = tokio::join!(a.net.request(to, vec![3], LONG), async {
        let reply =
            b.wait(|event| if let NetEvent::Request { reply, .. } = event { Some(reply) } else { None });
        reply.await.send(vec![0; API_BODY + 1]).unwrap();
    });
    assert_eq!(answer, Err(NetError::TooLarge { size: API_BODY + 1, limit: API_BODY }));
    assert_eq!(a.net.request([9; 32], vec![4], LONG).await, Err(NetError::NotAPeer));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_oversized_message_is_refused_here_and_harms_nothing() {
    let (a, mut b) = pair([1, 2]).await;
    let size = CONTROL_MESSAGE + 1;
    let refused = Err(NetError::TooLarge { size, limit: CONTROL_MESSAGE });
    assert_eq!(a.net.send(b.key(), vec![0; size]), refused);
    let (size, limit) = (API_REQUEST + 1, API_REQUEST);
    assert_eq!(a.net.request(b.key(), vec![0; size], LONG).await, Err(NetError::TooLarge { size, limit }));
    a.net.send(b.key(), vec![7; CONTROL_MESSAGE]).unwrap();
    assert_eq!(b.message().await.1.len(), CONTROL_MESSAGE);
    let events = std::iter::from_fn(|| b.events.try_recv().ok());
    assert_eq!(events.filter(|event| matches!(event, NetEvent::Disconnected(_))).count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_is_refused_and_told_and_another_peer_is_heard() {
    let (mut a, b, c) = (start(1).await, start(2).await, start(3).await);
    introduce(&[&a, &b, &c]);
    let (flooder, a_key) = (b.key(), a.key());
    let flood = async {
        loop {
            (0..200).for_each(|_| b.net.send(a_key, vec![1; 10]).unwrap());
            sleep(Duration::from_millis(5)).await;
        }
    };
    let told = a.wait(|event| match event {
        NetEvent::Offended { from, what, times } => Some((from, what, times)),
        _ => None,
    });
    let (from, what, times) = tokio::select! {
        told = told => told,
        () = flood => unreachable!("it floods forever"),
    };
    assert_eq!((from, what), (flooder, Offence::Flood));
    assert!(times > 0);
    c.say_until_heard(&mut a, b"and I am heard").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_shunned_is_disconnected_and_comes_back() {
    let (mut a, mut b) = pair([1, 2]).await;
    let (a_key, b_key) = (a.key(), b.key());
    a.net.set_shunned([b_key].into());
    a.disconnected(b_key).await;
    b.disconnected(a_key).await;
    assert_eq!(a.net.request(b_key, vec![1], LONG).await, Err(NetError::NotConnected));
    a.net.set_shunned([].into());
    b.say_until_heard(&mut a, b"again").await;
    a.say_until_heard(&mut b, b"again").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn control_round_trips_go_on_during_a_bulk_transfer() {
    const SIZE: usize = 50_000_000;
    let (a, mut b) = pair([1, 2]).await;
    let (a_key, b_key) = (a.key(), b.key());
    let mut up = a.net.open_bulk(b_key).await.unwrap();
    let (from, mut down) = b.bulk().await;
    assert_eq!(from, a_key);
    let writer = tokio::spawn(async move {
        let block = vec![42; 1 << 20];
        let mut left = SIZE;
        while left > 0 {
            let n = left.min(block.len());
            up.write_all(&block[..n]).await.unwrap();
            left -= n;
        }
        up.shutdown().await.unwrap();
    });
    let reader = tokio::spawn(async move {
        let (mut block, mut total) = (vec![0; 1 << 20], 0);
        loop {
            match down.read(&mut block).await.unwrap() {
                0 => return total,
                n => total += n,
            }
        }
    });
    let (mut rounds, mut slowest) = (0, Duration::ZERO);
    while !reader.is_finished() {
        let start = Instant::now();
        let (answer, _) = tokio::join!(a.net.request(b_key, vec![1, 2], LONG), b.answer());
        assert_eq!(answer, Ok(vec![2, 1]));
        slowest = slowest.max(start.elapsed());
        rounds += 1;
    }
    writer.await.unwrap();
    assert_eq!(reader.await.unwrap(), SIZE);
    assert!(rounds > 3 && slowest < Duration::from_secs(5), "{rounds} rounds, slowest {slowest:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_bulk_streams_open_at_once_and_carry_bytes_both_ways() {
    const STREAMS: u8 = 32;
    let (a, mut b) = pair([1, 2]).await;
    let b_key = b.key();
    let opened: Vec<_> = (0..STREAMS)
        .map(|n| {
            let net = a.net.clone();
            tokio::spawn(async move {
                let mut stream = net.open_bulk(b_key).await.unwrap();
                stream.write_all(&[n; 100]).await.unwrap();
                stream.shutdown().await.unwrap();
                let mut echo = Vec::new();
                stream.read_to_end(&mut echo).await.unwrap();
                assert_eq!(echo, [n; 100]);
            })
        })
        .collect();
    for _ in 0..STREAMS {
        let (_, mut stream) = b.bulk().await;
        tokio::spawn(async move {
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await.unwrap();
            stream.write_all(&bytes).await.unwrap();
            stream.shutdown().await.unwrap();
        });
    }
    for task in opened {
        timeout(LONG, task).await.unwrap().unwrap();
    }
}
