//! Chaos: replicas are killed, frozen, cut off, added and removed, and rings switched, at random and
//! under load. What is promised must hold all the while (DESIGN: zero errors for requests that may be
//! repeated), and everything must be back in its place afterwards.
//!
//! The acts follow from RINGMASTER_CHAOS_SEED and go on for RINGMASTER_CHAOS_SECONDS; a failure prints
//! the seed, the acts and the last events. One strike at a time: the next waits until the fleet is whole.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;
use std::time::{Duration, Instant};

use crate::support::{
    Engine, Load, Ringmaster, Signal, descriptors, eventually, kilobytes, load_turn,
    on_both_engines, signal, variable,
};

on_both_engines!(what_is_promised_holds);

/// Acts of one run, unless said otherwise.
const SECONDS: u64 = 20;
const SEED: u64 = 7;
/// Replicas at the start and at the end.
const REPLICAS: usize = 4;
/// The most there may be in between.
const MOST: usize = 7;
/// From one strike to the next: a seat that dies more than ten times a minute is started with a delay.
const PACE: Duration = Duration::from_secs(2);
/// How long the fleet may take to be whole again; back-off included.
const SETTLING: Duration = Duration::from_secs(45);
/// How much larger the program may have become, in kB: allocators keep some of what they had.
const GROWTH: u64 = 16 * 1024;
/// Connections of the load.
const CLIENTS: usize = 16;
/// What the promise allows for when several replicas die together: a request that two of them died of is
/// not given to a third.
const TWO_DEATHS: [&str; 2] = [
    "two replicas were lost with this request",
    "the replica closed its connection too early",
];

/// What can happen.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// One replica is killed, or half of them at once, or all.
    Kill(Share),
    /// One is stopped and says nothing more.
    Freeze,
    /// One is stopped and goes on soon after.
    Blink,
    /// One is off the network (containers).
    Cut,
    Add,
    Remove,
    Ring(&'static str),
    Bound(&'static str),
}

#[derive(Clone, Copy, Debug)]
enum Share {
    One,
    Half,
    All,
}

const ACTS: [Act; 16] = [
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
    Act::Ring("classic"),
    Act::Ring("maglev"),
    Act::Ring("uniform"),
    Act::Bound("1.2"),
    Act::Bound("0"),
];

/// What a failure tells, to have it again.
struct Story<'p> {
    program: &'p Ringmaster,
    seed: u64,
    acts: RefCell<Vec<String>>,
}

/// A run under way.
struct Chaos<'p> {
    program: &'p Ringmaster,
    engine: Engine,
    load: &'p Load,
    story: &'p Story<'p>,
    random: u64,
    wanted: usize,
    /// Where the next strike may fall.
    next_strike: Instant,
}

fn what_is_promised_holds(engine: Engine) {
    let _turn = load_turn();
    let seed = number("RINGMASTER_CHAOS_SEED", SEED);
    let time = Duration::from_secs(number("RINGMASTER_CHAOS_SECONDS", SECONDS));
    let replicas = REPLICAS.to_string();
    let program = engine.start(&["--replicas", &replicas, "--workers", "2"]);
    let load = Load::start(program.listen, CLIENTS);
    load.reach(1_000);
    let before = (
        descriptors(program.pid()),
        kilobytes(program.pid(), "VmRSS"),
    );
    let story = Story {
        program: &program,
        seed,
        acts: RefCell::default(),
    };
    let mut chaos = Chaos {
        program: &program,
        engine,
        load: &load,
        story: &story,
        random: seed,
        wanted: REPLICAS,
        next_strike: Instant::now(),
    };
    let end = Instant::now() + time;
    while Instant::now() < end {
        chaos.act();
    }
    chaos.come_to_rest();
    let acts = story.acts.borrow().len();
    chaos.expect_each_seat_once();
    let answered = load.answered();
    let tally = load.finish();
    let (given_up, failed): (Vec<_>, Vec<_>) = tally
        .failures
        .iter()
        .partition(|failure| TWO_DEATHS.iter().any(|said| failure.contains(said)));
    let after = || {
        (
            descriptors(program.pid()),
            kilobytes(program.pid(), "VmRSS"),
        )
    };
    println!(
        "chaos, seed {seed}: {acts} acts in {time:?}, {answered} answers, {} given up after two deaths, \
         slowest GET {:?}; descriptors and kB before {before:?}, after {:?}",
        given_up.len(),
        tally.slowest,
        after(),
    );
    assert!(failed.is_empty(), "{failed:?}");
    // Each client can meet each of those strikes once.
    let together = |act: &&String| act.contains("Half") || act.contains("All");
    let most = CLIENTS * story.acts.borrow().iter().filter(together).count();
    assert!(given_up.len() <= most, "{given_up:?}");
    eventually(SETTLING, "no more descriptors than before", || {
        after().0 <= before.0
    });
    let grown = after().1.saturating_sub(before.1);
    assert!(grown <= GROWTH, "{grown} kB more than before");
}

impl Chaos<'_> {
    /// Whatever comes next.
    fn act(&mut self) {
        let act = self.pick(&ACTS);
        match act {
            Act::Cut if self.engine == Engine::Process => return,
            Act::Add if self.wanted >= MOST => return,
            Act::Remove if self.wanted <= 2 => return,
            _ => {}
        }
        let begun = Instant::now();
        self.story.acts.borrow_mut().push(format!("{act:?}"));
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
            Act::Add => self.order("add 1", 1),
            Act::Remove => self.order("rm 1", -1),
            Act::Ring(spec) => self.order(&format!("ring set {spec}"), 0),
            Act::Bound(bound) => self.order(&format!("bound {bound}"), 0),
        }
        let took = begun.elapsed();
        if let Some(last) = self.story.acts.borrow_mut().last_mut() {
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

    fn order(&mut self, line: &str, more: isize) {
        let answer = self.program.command(line);
        assert!(!answer.starts_with("ERR"), "{line}: {answer}");
        self.wanted = self.wanted.saturating_add_signed(more);
    }

    /// Waits until there are as many replicas as wanted, and no process besides them.
    fn settle(&self) {
        eventually(
            SETTLING,
            &format!("{} replicas, no more", self.wanted),
            || {
                self.program.rep().len() == self.wanted
                    && self.program.children().len() == self.wanted
            },
        );
    }

    /// As many replicas as at the start, the ring and the bound of the start.
    fn come_to_rest(&mut self) {
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
        self.load.go_round();
    }

    /// Each process has a seat of its own: no successor was started twice.
    fn expect_each_seat_once(&self) {
        let children = self.program.children();
        let seats = children.iter().map(|pid| variable(*pid, "SERVER_ID"));
        let seats: BTreeSet<_> = seats.map(|seat| seat.expect("a seat")).collect();
        assert_eq!(seats.len(), REPLICAS, "{seats:?}");
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

impl Drop for Story<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let events = catch_unwind(AssertUnwindSafe(|| self.program.command("events")));
            let events = events.unwrap_or_default();
            let lines: Vec<&str> = events.lines().collect();
            let last = lines[lines.len().saturating_sub(50)..].join("\n");
            eprintln!("RINGMASTER_CHAOS_SEED={}", self.seed);
            eprintln!("--- acts\n{}", self.acts.borrow().join("\n"));
            eprintln!("--- the last events\n{last}\n---");
        }
    }
}

/// What the environment says, or `default`.
fn number<T: FromStr<Err: Debug>>(name: &str, default: T) -> T {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}
