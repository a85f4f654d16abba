//! What is asked for at the keyboard, line by line.

use std::io::BufRead as _;

use tokio::sync::mpsc;

use super::acts::Act;
use crate::error::Result;

/// What there is to press.
pub(super) const KEYS: &str =
    "  Press  1 drift   2 kill a member   3 partition   4 update from another member   a all   q quit";

/// What was asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Wish {
    /// Play these.
    Play(Vec<Act>),
    /// Tell again what there is to press.
    Help,
    /// Stop.
    Quit,
}

/// Lines of standard input as they come.
pub(super) struct Keys(mpsc::Receiver<String>);

impl Keys {
    /// Begins to read. The thread ends with the input, or with the process: reading cannot be called off.
    pub(super) fn new() -> Result<Self> {
        let (to, lines) = mpsc::channel(1);
        let read = move || {
            for line in std::io::stdin().lock().lines() {
                let Ok(line) = line else { return };
                if to.blocking_send(line).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("keys".into()).spawn(read)?;
        Ok(Self(lines))
    }

    /// The next wish; the end of the input is the wish to quit.
    pub(super) async fn next(&mut self) -> Wish {
        self.0.recv().await.map_or(Wish::Quit, |line| wish(&line))
    }
}

fn wish(line: &str) -> Wish {
    let all = || Act::REST.to_vec();
    match line.trim() {
        "1" => Wish::Play(vec![Act::Drift]),
        "2" => Wish::Play(vec![Act::Kill]),
        "3" => Wish::Play(vec![Act::Partition]),
        "4" => Wish::Play(vec![Act::Update]),
        "a" | "A" => Wish::Play(all()),
        "q" | "Q" => Wish::Quit,
        _ => Wish::Help,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_mean_what_the_line_says() {
        for (number, act) in (1..).zip(Act::REST) {
            assert_eq!(wish(&format!(" {number}\r")), Wish::Play(vec![act]));
        }
        assert_eq!(wish("a"), Wish::Play(Act::REST.to_vec()));
        assert_eq!((wish("q"), wish(""), wish("5")), (Wish::Quit, Wish::Help, Wish::Help));
    }
}
