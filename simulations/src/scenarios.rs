//! Hand-written stories with readable assertions.

use crate::options::Options;
use crate::run::simulate;

#[test]
fn a_quiet_entity_comes_to_rest() {
    let outcome = simulate(&Options { faults: false, hours: 0.05, ..Options::default() });
    for entry in &outcome.timeline {
        println!("{:9.3} {:4} {}", entry.seconds, entry.host, entry.text);
    }
    println!("{} events, {} messages, {} s", outcome.events, outcome.messages, outcome.seconds);
    assert_eq!(outcome.violations, []);
}
