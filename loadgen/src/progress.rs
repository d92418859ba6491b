//! What is seen while an experiment runs: a bar on a terminal, a plain line for each part elsewhere.

use std::cell::RefCell;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::console::note;
use crate::counters::Counters;

/// How often the bar moves.
const REDRAW_INTERVAL: Duration = Duration::from_millis(100);

/// The progress of one experiment.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// So many requests are to come.
    pub(crate) fn new(requests: u64) -> Self {
        let bar = ProgressBar::with_draw_target(Some(requests), ProgressDrawTarget::stderr());
        let style = "{bar:40} {human_pos} of {human_len} requests, {elapsed} ({eta} left): {msg}";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        Self { bar }
    }

    /// A new part begins.
    pub(crate) fn start_part(&self, what: &str) {
        if self.bar.is_hidden() {
            note(what);
        }
        self.bar.set_message(what.to_owned());
    }

    /// Follows a load until it is dropped. Cancel safe.
    pub(crate) async fn follow(&self, counters: &RefCell<Counters>) {
        let begin = self.bar.position();
        loop {
            self.update(begin, counters);
            tokio::time::sleep(REDRAW_INTERVAL).await;
        }
    }

    /// A load that began at `begin` has come so far.
    pub(crate) fn update(&self, begin: u64, counters: &RefCell<Counters>) {
        let counters = counters.borrow();
        self.bar
            .set_position(begin + counters.answered() + counters.failed());
    }

    /// Requests of all loads so far.
    pub(crate) fn position(&self) -> u64 {
        self.bar.position()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
