//! What the demo prints: a timeline for people, one line of JSON per act for programs.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::json;

use crate::args::Output;
use crate::context::{Context, print};
use crate::error::Result;
use crate::render::time::{now, seconds_between};

/// The timeline.
pub(super) struct Story {
    began: Instant,
    clock: String,
    output: Output,
    quiet: bool,
}

impl Story {
    /// It begins now.
    pub(super) fn new(context: &Context) -> Self {
        let clock = Timestamp::now().to_string();
        Self { began: Instant::now(), clock, output: context.output, quiet: context.quiet }
    }

    /// Whether it is for programs.
    pub(super) fn is_json(&self) -> bool {
        self.output == Output::Json
    }

    /// Something happened now.
    pub(super) fn tell(&self, text: &str) -> Result<()> {
        self.line(self.began.elapsed().as_secs_f64(), text)
    }

    /// Something happened at a time that a member states (RFC 3339).
    pub(super) fn tell_at(&self, at: &str, text: &str) -> Result<()> {
        let seconds = seconds_between(&self.clock, at).unwrap_or_default();
        self.line(seconds.max(0.0), text)
    }

    /// More about what was told.
    pub(super) fn add(&self, text: &str) -> Result<()> {
        self.print(&format!("         {text}\n"))
    }

    /// What may help, not what happened.
    pub(super) fn hint(&self, text: &str) -> Result<()> {
        if self.quiet { Ok(()) } else { self.print(&format!("{text}\n")) }
    }

    /// An act is over.
    pub(super) fn end_act(
        &self,
        act: &str,
        took: Duration,
        result: std::result::Result<&str, &str>,
    ) -> Result<()> {
        let seconds = (took.as_secs_f64() * 1000.0).round() / 1000.0;
        let (ok, detail) = match result {
            Ok(detail) => (true, detail),
            Err(detail) => (false, detail),
        };
        if self.is_json() {
            let line = json!({
                "schema": "althing.demo/1", "at": now(), "act": act, "seconds": seconds, "ok": ok, "detail": detail,
            });
            return print(&format!("{line}\n"));
        }
        let verdict = if ok { "done" } else { "FAILED" };
        self.tell(&format!("{verdict}: {detail}   [{act}, {seconds:.1} s]"))
    }

    fn line(&self, seconds: f64, text: &str) -> Result<()> {
        self.print(&format!("{seconds:5.1} s  {text}\n"))
    }

    fn print(&self, text: &str) -> Result<()> {
        if self.is_json() { Ok(()) } else { print(text) }
    }
}
