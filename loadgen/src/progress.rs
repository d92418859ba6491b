//! Progress of an experiment: a bar on a terminal, otherwise one line per part.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::console::note;
use crate::counters::Counters;

/// Interval between updates of the bar.
const REDRAW_INTERVAL: Duration = Duration::from_millis(100);

/// Progress of one experiment.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Returns a bar for this number of requests.
    pub(crate) fn new(requests: u64) -> Self {
        let bar = ProgressBar::with_draw_target(Some(requests), ProgressDrawTarget::stderr());
        let style = "{bar:40} {human_pos} of {human_len} requests, {elapsed} ({eta} left): {msg}";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        Self { bar }
    }

    /// Announces the next part.
    pub(crate) fn start_part(&self, what: &str) {
        if self.bar.is_hidden() {
            note(what);
        }
        self.bar.set_message(what.to_owned());
    }

    /// Follows a load until dropped. Cancel safe.
    pub(crate) async fn follow(&self, counters: Rc<RefCell<Counters>>) {
        let begin = self.position();
        loop {
            self.set_position(begin + counters.borrow().done());
            tokio::time::sleep(REDRAW_INTERVAL).await;
        }
    }

    /// Shows this number of requests.
    pub(crate) fn set_position(&self, position: u64) {
        self.bar.set_position(position);
    }

    /// Number of requests of all loads so far.
    pub(crate) fn position(&self) -> u64 {
        self.bar.position()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
