//! Prints what gossip costs and how fast it is: `scale [MEMBERS...]`, by default 9, 100 and 1000 members; one table.

use std::process::ExitCode;
use std::time::Instant;

use althing_simulations::scale::{Entity, Scale, Spread};

const SECOND: u64 = 1_000_000;
const LAN: (u64, u64) = (200, 1_000);
const WAN: (u64, u64) = (10_000, 50_000);

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let sizes: Result<Vec<usize>, _> = words.iter().map(|word| word.parse()).collect();
    let sizes = match sizes {
        Ok(sizes) if sizes.iter().all(|size| (3..=10_000).contains(size)) => sizes,
        _ => {
            eprintln!("usage: scale [MEMBERS...]: numbers from 3 to 10000");
            return ExitCode::from(64);
        }
    };
    for members in if sizes.is_empty() { vec![9, 100, 1000] } else { sizes } {
        let begin = Instant::now();
        measure(members);
        println!("{members:>6} members took {:.0} s of this machine\n", begin.elapsed().as_secs_f64());
    }
    ExitCode::SUCCESS
}

fn at_rest(members: usize, lost: u64, delay: (u64, u64)) -> Entity {
    let mut entity = Entity::new(Scale { members, lost, delay, seed: 1 });
    entity.run(30 * SECOND);
    entity
}

fn measure(members: usize) {
    let mut lan = at_rest(members, 0, LAN);
    let rest = lan.rest(120 * SECOND);
    println!(
        "{members:>6} members at rest, a member and second: {:.2} messages, {:.1} B of them, {:.0} B on the wire",
        rest.messages, rest.payload, rest.wire
    );
    for (kind, count, bytes) in lan.kinds() {
        println!("       {kind:<6} {count:>8} messages {bytes:>10} bytes");
    }
    println!("       a silent crash is known: {}", shown(&lan.crash(members - 1)));
    let time = lan.newcomer(members - 1).map_or("never".to_owned(), |time| format!("{time} ms"));
    println!("       a newcomer has everybody's report after {time}");
    lan.run(20 * SECOND);
    let (asked, held) = lan.settle(1);
    println!("       certificate, LAN: {}; since the first holds it {}", shown(&asked), shown(&held));
    let mut wan = at_rest(members, 0, WAN);
    let (asked, held) = wan.settle(1);
    println!("       certificate, WAN: {}; since the first holds it {}", shown(&asked), shown(&held));
    println!("       a silent crash is known, WAN: {}", shown(&wan.crash(members - 1)));
    drop(wan);
    // A thousand members for five minutes at four losses is an hour of this machine.
    for lost in if members <= 200 { &[50, 100, 200, 300][..] } else { &[][..] } {
        let mut entity = at_rest(members, *lost, LAN);
        let before = entity.false_notices();
        let rest = entity.rest(300 * SECOND);
        println!(
            "       {:>2} % lost for 300 s: {} false notices, {:.0} B a member and second; {} inputs",
            lost / 10,
            entity.false_notices() - before,
            rest.payload,
            entity.steps()
        );
    }
}

fn shown(spread: &Spread) -> String {
    let all = spread.all.map_or("never".to_owned(), |all| format!("{all} ms"));
    format!("first {} ms, half {} ms, all {all}", spread.first, spread.half)
}
