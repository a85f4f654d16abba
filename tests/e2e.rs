//! Real daemons, end to end.

#[path = "e2e/cli.rs"]
mod cli;
#[path = "e2e/content.rs"]
mod content;
#[path = "e2e/crash.rs"]
mod crash;
#[path = "e2e/disk_full.rs"]
mod disk_full;
#[path = "e2e/drift.rs"]
mod drift;
#[path = "e2e/errors.rs"]
mod errors;
#[path = "e2e/hard_files.rs"]
mod hard_files;
#[path = "e2e/join.rs"]
mod join;
#[path = "e2e/large_files.rs"]
mod large_files;
#[path = "e2e/long_away.rs"]
mod long_away;
#[path = "e2e/operators.rs"]
mod operators;
#[path = "e2e/owners.rs"]
mod owners;
#[path = "e2e/partition.rs"]
mod partition;
#[path = "e2e/placement.rs"]
mod placement;
#[path = "e2e/readme.rs"]
mod readme;
#[path = "e2e/releases.rs"]
mod releases;
#[path = "e2e/rolling.rs"]
mod rolling;
#[path = "e2e/serving.rs"]
mod serving;
#[path = "e2e/shell.rs"]
mod shell;
#[path = "e2e/simulate.rs"]
mod simulate;
#[path = "e2e/standing.rs"]
mod standing;
#[path = "e2e/ugly.rs"]
mod ugly;
#[path = "e2e/upgrade.rs"]
mod upgrade;
