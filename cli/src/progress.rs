//! How far a change is, on stderr, if that is a terminal; nothing otherwise.

use std::io::{self, IsTerminal as _};

use althing_protocol::control::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// One line that is replaced as the stages go by. Gone from the screen when it is finished or dropped.
pub(crate) struct Bar {
    bar: Option<ProgressBar>,
    stage: Option<String>,
}

impl Bar {
    /// Nothing is drawn before the first progress, nor if it is not wanted.
    pub(crate) fn new(wanted: bool) -> Self {
        let bar = (wanted && io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("  {msg:<8} {bar:32} {pos} of {len}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸ "));
            bar
        });
        Self { bar, stage: None }
    }

    /// Shows how far it is.
    pub(crate) fn show(&mut self, progress: &Progress) {
        if self.stage.as_ref() != Some(&progress.stage) {
            self.stage = Some(progress.stage.clone());
        }
        if let Some(bar) = &self.bar {
            bar.set_message(crate::client::printable(&progress.stage));
            bar.set_length(progress.of);
            bar.set_position(progress.done);
        }
    }

    /// Takes it off the screen; returns the stage it was at.
    pub(crate) fn finish(&mut self) -> Option<String> {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        self.stage.take()
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.finish();
    }
}
