//! A seed is one world in every process, and a failing one is made small and replayed by the command that is printed.

use std::process::{Command, Output};

use serde_json::Value;

/// Runs `swarm` in a process of its own.
fn swarm(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_swarm")).args(words).output().expect("swarm runs")
}

/// The one outcome of a case, and whether the process said that it is sound.
fn outcome(words: &[&str]) -> (Value, bool) {
    let output = swarm(&[words, &["--json", "--no-shrink"]].concat());
    let outcomes: Value = serde_json::from_slice(&output.stdout).expect("swarm prints JSON");
    (outcomes[0].clone(), output.status.success())
}

#[test]
fn ten_processes_make_one_world_of_one_seed() {
    let words = ["--seed", "3", "--members", "5", "--minutes", "2"];
    let (first, sound) = outcome(&words);
    assert!(sound && first["trace"].as_str().is_some_and(|trace| trace.len() == 64), "{first}");
    for _ in 1..10 {
        assert_eq!(outcome(&words), (first.clone(), true));
    }
}

/// Planted bugs, each with a case that finds it.
const FAILING: [[&str; 8]; 2] = [
    ["--seed", "28", "--members", "5", "--minutes", "6", "--mutation", "no-trash"],
    ["--seed", "20", "--members", "5", "--minutes", "6", "--mutation", "torn-batch"],
];

#[test]
fn a_failing_seed_shrinks_to_a_tenth_and_the_printed_command_replays_it() {
    for words in FAILING {
        let (failed, sound) = outcome(&words);
        let clause = failed["violations"][0]["clause"].as_str().expect("it fails").to_owned();
        assert!(!sound);

        let output = swarm(&words);
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let smallest = said.lines().find(|line| line.contains("smallest found")).expect("it is made smaller");
        let (_, command) = smallest.split_once("--bin swarm -- ").expect("a command");
        let replay: Vec<&str> = command.split_whitespace().filter(|word| *word != "--timeline").collect();

        let (again, sound) = outcome(&replay);
        assert!(!sound && again["violations"][0]["clause"] == *clause, "{command}: {}", again["violations"]);
        let events = |outcome: &Value| outcome["events"].as_u64().expect("events");
        assert!(
            events(&again) * 10 <= events(&failed),
            "{} of {}: {command}",
            events(&again),
            events(&failed)
        );
        assert_eq!(outcome(&replay).0["trace"], again["trace"], "{command}");
    }
}
