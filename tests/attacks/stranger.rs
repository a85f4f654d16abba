//! What somebody does that has no key of the entity, or is at the machine without being its administrator's program.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use althing_node::net::{Net, NetConfig, Peer, Speech};
use althing_protocol::codec;
use althing_protocol::hash::Hash;
use althing_protocol::identity::Identity;
use althing_protocol::invitation::Invitation;
use althing_protocol::record::{JoinRequest, Newcomer};
use althing_protocol::statement::{Address, Id16};
use althing_tests::{Cluster, Random};
use anyhow::{Context, Result, ensure};

use crate::crowd;
use crate::hostile::address;

/// What goes on until it is dropped.
#[derive(Default)]
pub(crate) struct Lasting {
    _tcp: Vec<TcpStream>,
    _unix: Vec<UnixStream>,
}

type Attack = fn(&mut Cluster) -> Result<Lasting>;

/// By name, each described at its function.
pub(crate) const ATTACKS: [(&str, Attack); 14] = [
    ("a thousand connections that say nothing", silent_crowd),
    ("a thousand connections to the content port", bulk_crowd),
    ("connections that come and go", churn),
    ("random bytes", random_bytes),
    ("other protocols", other_protocols),
    ("a handshake of one byte in a while", slow_handshake),
    ("half-open connections", half_open),
    ("a stranger's key that speaks as a member", unknown_key),
    ("a stranger's key that asks for content", unknown_key_bulk),
    ("join requests that are none", junk_joins),
    ("join requests of zeros, as large as can be", large_joins),
    ("a join request with a forged invitation", forged_join),
    ("a used invitation, again", used_invitation),
    ("calls on the local socket that do not end", local_crowd),
];

fn connect(to: &str) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address(to)?, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_millis(500)))?;
    stream.set_write_timeout(Some(Duration::from_millis(500)))?;
    Ok(stream)
}

/// As many connections as can be made; the other side may refuse some.
fn many(to: &str, count: usize) -> Vec<TcpStream> {
    (0..count).filter_map(|_| connect(to).ok()).collect()
}

/// A thousand connections to the control port that never say a word.
fn silent_crowd(cluster: &mut Cluster) -> Result<Lasting> {
    let tcp = many(&cluster.members[0].address(), crowd());
    ensure!(tcp.len() > crowd() / 2, "only {} came up", tcp.len());
    Ok(Lasting { _tcp: tcp, ..Lasting::default() })
}

/// The same to the content port of another member.
fn bulk_crowd(cluster: &mut Cluster) -> Result<Lasting> {
    Ok(Lasting { _tcp: many(&cluster.members[1].bulk_address(), crowd()), ..Lasting::default() })
}

/// A thousand connections, one after the other, each closed at once.
fn churn(cluster: &mut Cluster) -> Result<Lasting> {
    for member in &cluster.members {
        (0..crowd() / 3).for_each(|_| drop(connect(&member.address())));
    }
    Ok(Lasting::default())
}

/// Random bytes, to both ports of all members.
fn random_bytes(cluster: &mut Cluster) -> Result<Lasting> {
    let mut random = Random::new(1);
    let mut tcp = Vec::new();
    for member in &cluster.members {
        for to in [member.address(), member.bulk_address()] {
            for _ in 0..20 {
                let mut stream = connect(&to)?;
                // It may hang up in the middle.
                let _ = stream.write_all(&random.bytes(100_000));
                tcp.push(stream);
            }
        }
    }
    Ok(Lasting { _tcp: tcp, ..Lasting::default() })
}

/// What a web browser, a shell and a database would say.
fn other_protocols(cluster: &mut Cluster) -> Result<Lasting> {
    let words: [&[u8]; 4] = [
        b"GET /v1/status HTTP/1.1\r\nHost: althing\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x00\x00\x00\x08\x04\xd2\x16\x2f",
    ];
    for word in words {
        let mut stream = connect(&cluster.members[0].address())?;
        stream.write_all(word)?;
        let mut answer = Vec::new();
        let _ = stream.take(4096).read_to_end(&mut answer);
        ensure!(!answer.windows(6).any(|part| part == b"schema"), "it was answered: {answer:?}");
    }
    Ok(Lasting::default())
}

/// Connections that begin as libp2p does and then say a byte in a while.
fn slow_handshake(cluster: &mut Cluster) -> Result<Lasting> {
    let mut tcp = many(&cluster.members[2].address(), 60);
    for byte in b"\x13/multistream/1.0.0\n" {
        for stream in &mut tcp {
            let _ = stream.write_all(&[*byte]);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(Lasting { _tcp: tcp, ..Lasting::default() })
}

/// Connections of which one direction is closed.
fn half_open(cluster: &mut Cluster) -> Result<Lasting> {
    let tcp = many(&cluster.members[0].address(), 200);
    for stream in &tcp {
        let _ = stream.shutdown(Shutdown::Write);
    }
    Ok(Lasting { _tcp: tcp, ..Lasting::default() })
}

/// A program with a key of its own that takes the members for its peers.
async fn intruder(cluster: &Cluster, seed: u8) -> Result<Net> {
    let any = ([127, 0, 0, 1], 0).into();
    let config = NetConfig { secret: [seed; 32], listen: any, bulk_listen: any, speech: Speech::Lines };
    let (net, mut events) = Net::start(config).await?;
    tokio::spawn(async move { while events.recv().await.is_some() {} });
    let mut peers = std::collections::BTreeMap::new();
    for member in &cluster.members {
        let list = member.json(&["member", "list"])?;
        let found =
            list["members"].as_array().into_iter().flatten().find(|entry| entry["name"] == *member.name);
        let id = found.and_then(|entry| entry["id"].as_str()).context("an id")?;
        let key = id.parse::<althing_protocol::identity::MemberId>()?;
        let (control, bulk) = (vec![address(&member.address())?], vec![address(&member.bulk_address())?]);
        peers.insert(key.0, Peer { control, bulk });
    }
    net.set_peers(peers);
    Ok(net)
}

fn in_runtime<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(work)
}

/// Control messages and calls with a key that nobody admitted.
fn unknown_key(cluster: &mut Cluster) -> Result<Lasting> {
    in_runtime(async {
        let net = intruder(cluster, 77).await?;
        for _ in 0..20 {
            for peer in net.status().into_keys() {
                net.send(peer, vec![0x80; 1000])?;
                let answer = net.request(peer, b"{}".to_vec(), Duration::from_secs(1)).await;
                ensure!(answer.is_err(), "a stranger was answered: {answer:?}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        ensure!(net.status().values().all(|status| !status.connected), "a stranger is a peer");
        net.shutdown().await;
        Ok(Lasting::default())
    })
}

/// Streams of content with a key that nobody admitted.
fn unknown_key_bulk(cluster: &mut Cluster) -> Result<Lasting> {
    in_runtime(async {
        let net = intruder(cluster, 78).await?;
        for peer in net.status().into_keys() {
            for _ in 0..5 {
                ensure!(net.open_bulk(peer).await.is_err(), "a stranger has a stream of content");
            }
        }
        net.shutdown().await;
        Ok(Lasting::default())
    })
}

async fn asks_to_join(cluster: &Cluster, seed: u8, bodies: &[Vec<u8>]) -> Result<usize> {
    let net = intruder(cluster, seed).await?;
    let to = address(&cluster.members[0].address())?;
    let mut answered = 0;
    for body in bodies {
        answered += usize::from(net.join(to, body.clone(), Duration::from_secs(2)).await.is_ok());
    }
    net.shutdown().await;
    Ok(answered)
}

/// Requests to join that do not decode, one after the other.
fn junk_joins(cluster: &mut Cluster) -> Result<Lasting> {
    let mut random = Random::new(2);
    let bodies: Vec<Vec<u8>> = (0..40).map(|_| random.bytes(300)).collect();
    let answered = in_runtime(asks_to_join(cluster, 79, &bodies))?;
    ensure!(answered == 0, "{answered} were answered");
    Ok(Lasting::default())
}

/// The largest that may be sent.
fn large_joins(cluster: &mut Cluster) -> Result<Lasting> {
    let bodies = vec![vec![0; 64 << 10]; 10];
    let answered = in_runtime(asks_to_join(cluster, 80, &bodies))?;
    ensure!(answered == 0, "{answered} were answered");
    Ok(Lasting::default())
}

fn request(entity: Hash, invitation: &Identity, seed: u8) -> Vec<u8> {
    let own = Identity::from_seed([seed; 32]);
    let control = ([127, 0, 0, 1], 1).into();
    let address = Address { control, bulk: control };
    let newcomer = Newcomer { member: own.id(), store: Id16([seed; 16]), name: "mallory".into(), address };
    codec::encode(&JoinRequest::sign(entity, newcomer, invitation, &own))
}

fn nobody_came(cluster: &Cluster, number: usize) -> Result<()> {
    let list = cluster.members[0].json(&["member", "list"])?;
    let count = list["members"].as_array().map_or(0, Vec::len);
    ensure!(count == number && !list.to_string().contains("mallory"), "{list}");
    Ok(())
}

/// A request in good form, signed with an invitation that nobody made, and one whose signatures were cut out of another.
fn forged_join(cluster: &mut Cluster) -> Result<Lasting> {
    let real = Invitation::decode(&cluster.invite(&[])?)?;
    let forged = request(real.entity, &Identity::from_seed([9; 32]), 81);
    let mut stolen: JoinRequest = codec::decode(&forged, 16 << 10)?;
    stolen.invitation = real.identity().id();
    in_runtime(asks_to_join(cluster, 81, &[forged, codec::encode(&stolen)]))?;
    nobody_came(cluster, 3)?;
    Ok(Lasting::default())
}

/// An invitation that was revoked, by whoever has its secret.
fn used_invitation(cluster: &mut Cluster) -> Result<Lasting> {
    let made = cluster.web(1).json(&["invite"])?;
    let real = Invitation::decode(made["invitation"].as_str().context("an invitation")?)?;
    let id = made["id"].as_str().context("its id")?.to_owned();
    cluster.web(1).json(&["invite", "revoke", &id])?;
    let body = request(real.entity, &real.identity(), 82);
    in_runtime(asks_to_join(cluster, 82, &[body.clone(), body]))?;
    nobody_came(cluster, 3)?;
    Ok(Lasting::default())
}

/// Calls whose head or body never ends. The socket's mode keeps other users out; this one may open it.
fn local_crowd(cluster: &mut Cluster) -> Result<Lasting> {
    let mut unix = Vec::new();
    for _ in 0..40 {
        let mut stream = UnixStream::connect(cluster.members[0].dir.join("althing.sock"))?;
        stream
            .write_all(b"POST /v1/command HTTP/1.1\r\nHost: althing\r\nContent-Length: 1000000\r\n\r\n{")?;
        unix.push(stream);
        let mut stream = UnixStream::connect(cluster.members[0].dir.join("althing.sock"))?;
        stream.write_all(b"GET /v1/status HTTP/1.1\r\nHost: alt")?;
        unix.push(stream);
    }
    Ok(Lasting { _unix: unix, ..Lasting::default() })
}
