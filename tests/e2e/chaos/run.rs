//! The acts of a chaos run, and their execution.

use std::collections::BTreeSet;
use std::time::Instant;

use serde_json::Value;

use super::{MOST, PACE, REPLICAS, RunInfo, SETTLING, STANDBYS};
use crate::support::{
    Engine, Load, Ringmaster, Signal, eventually, exchange_at, server_of, signal,
};

/// Acts that change or damage the fleet.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// Kills one replica, half of them at once, or all.
    Kill(Share),
    /// Stops one replica for good.
    Freeze,
    /// Stops one replica and continues it soon after.
    Blink,
    /// Takes one replica off the network (containers).
    Cut,
    Add,
    Remove,
    /// Replaces one replica by order, or all, one after the other.
    Replace(Share),
    /// Lets another process take over.
    TakeOver,
    Ring(&'static str),
    Bound(&'static str),
}

#[derive(Clone, Copy, Debug)]
enum Share {
    One,
    Half,
    All,
}

const ACTS: [Act; 19] = [
    Act::Kill(Share::One),
    Act::Kill(Share::One),
    Act::Kill(Share::Half),
    Act::Kill(Share::All),
    Act::Freeze,
    Act::Blink,
    Act::Cut,
    Act::Add,
    Act::Add,
    Act::Remove,
    Act::Remove,
    Act::Replace(Share::One),
    Act::Replace(Share::All),
    Act::TakeOver,
    Act::Ring("classic"),
    Act::Ring("maglev"),
    Act::Ring("uniform"),
    Act::Bound("1.2"),
    Act::Bound("0"),
];

/// A run under way.
pub(super) struct Chaos<'p> {
    pub(super) program: Ringmaster,
    pub(super) engine: Engine,
    pub(super) load: &'p Load,
    pub(super) info: &'p RunInfo,
    pub(super) random: u64,
    pub(super) wanted: usize,
    /// Earliest time of the next strike.
    pub(super) next_strike: Instant,
}

impl Chaos<'_> {
    /// Carries out the next random act.
    pub(super) fn act(&mut self) {
        let act = self.pick(&ACTS);
        match act {
            Act::Cut if self.engine == Engine::Process => return,
            Act::Add if self.wanted >= MOST => return,
            Act::Remove if self.wanted <= 2 => return,
            _ => {}
        }
        let begun = Instant::now();
        self.info.acts.borrow_mut().push(format!("{act:?}"));
        match act {
            Act::Kill(share) => {
                let victims = self.victims(share);
                self.strike(&victims, Signal::KILL);
            }
            Act::Freeze => {
                let victims = self.victims(Share::One);
                self.strike(&victims, Signal::STOP);
            }
            Act::Blink => {
                let victims = self.victims(Share::One);
                let process = self.program.replica(&victims[0]);
                signal(process, Signal::STOP);
                self.load.go_on(20);
                // By now the fleet may have replaced it.
                signal(process, Signal::CONT);
            }
            Act::Cut => {
                let victims = self.victims(Share::One);
                self.program.cut_off(&victims[0]);
            }
            Act::Replace(Share::One) => {
                let name = self.program.rep().remove(0);
                self.order(&format!("replace {name}"), 0);
            }
            Act::Replace(_) => self.order("replace all", 0),
            Act::TakeOver => self.take_over(),
            Act::Add => self.order("add 1", 1),
            Act::Remove => self.order("rm 1", -1),
            Act::Ring(spec) => self.order(&format!("ring set {spec}"), 0),
            Act::Bound(bound) => self.order(&format!("bound {bound}"), 0),
        }
        let took = begun.elapsed();
        if let Some(last) = self.info.acts.borrow_mut().last_mut() {
            last.push_str(&format!(" {took:?}"));
        }
        self.load.go_on(100);
    }

    /// Waits for the time of the next strike and for a whole fleet, and chooses.
    fn victims(&mut self, share: Share) -> Vec<String> {
        while Instant::now() < self.next_strike {
            self.load.go_on(10);
        }
        self.settle();
        self.next_strike = Instant::now() + PACE;
        let mut names = self.program.rep();
        let first = usize::try_from(self.draw()).unwrap_or_default() % names.len();
        names.rotate_left(first);
        names.truncate(match share {
            Share::One => 1,
            Share::Half => names.len().div_ceil(2),
            Share::All => names.len(),
        });
        names
    }

    fn strike(&self, victims: &[String], signal: Signal) {
        let names: Vec<&str> = victims.iter().map(String::as_str).collect();
        self.program.strike(&names, signal);
    }

    fn take_over(&mut self) {
        self.settle();
        let standbys = STANDBYS.to_string();
        let next = self.program.taken_over(&["--standby", &standbys]);
        let mut last = std::mem::replace(&mut self.program, next);
        assert!(last.wait().success(), "{}", last.log());
    }

    fn order(&mut self, line: &str, more: isize) {
        let answer = self.program.command(line);
        assert!(!answer.starts_with("ERR"), "{line}: {answer}");
        self.wanted = self.wanted.saturating_add_signed(more);
    }

    /// Waits until there are as many replicas and standbys as wanted, and no process besides them.
    fn settle(&self) {
        let what = format!("{} replicas and {STANDBYS} more, no others", self.wanted);
        eventually(SETTLING, &what, || {
            self.program.rep().len() == self.wanted
                && self.program.standbys().len() == STANDBYS
                && self.program.children().len() == self.wanted + STANDBYS
                && self.none_is_silent()
        });
    }

    /// Returns `true` if no listed replica is silent: one that was frozen a moment ago still counts
    /// as a replica, and is replaced later.
    fn none_is_silent(&self) -> bool {
        let shown: Value = serde_json::from_str(&self.program.command("show json")).expect("JSON");
        let all = shown["message"]["replicas"].as_array().expect("a list");
        all.iter()
            .filter(|card| card["listed"] == true)
            .all(|card| card["state"] == "up")
    }

    /// As many replicas as at the start, the ring and the bound of the start.
    pub(super) fn come_to_rest(&mut self) {
        self.settle();
        let (now, before) = (self.wanted, REPLICAS);
        if now < before {
            self.order(&format!("add {}", before - now), 0);
        } else if now > before {
            self.order(&format!("rm {}", now - before), 0);
        }
        self.wanted = before;
        self.order("ring set uniform", 0);
        self.settle();
        self.load.wait_for_one_reply_per_connection();
    }

    /// Each replica has a seat of its own, 1, 2, 3 …, and answers with it.
    pub(super) fn expect_each_seat_once(&self) {
        let shown: Value = serde_json::from_str(&self.program.command("show json")).expect("JSON");
        let all = shown["message"]["replicas"].as_array().expect("a list");
        let mut seats = BTreeSet::new();
        for card in all.iter().filter(|card| card["state"] == "up") {
            let addr = card["address"].as_str().expect("an address");
            let answer = exchange_at(
                addr,
                "GET /home HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            );
            let says = server_of(&answer.text()).expect("a seat");
            assert_eq!(card["seat"], says, "{card}");
            seats.insert(says);
        }
        assert_eq!(seats.len(), REPLICAS, "{shown}");
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        let at = usize::try_from(self.draw()).unwrap_or_default();
        all[at % all.len()]
    }

    /// The next number of splitmix64, halved so that it fits any index.
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.random;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) >> 33
    }
}
