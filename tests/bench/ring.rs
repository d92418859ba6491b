//! Cost of the rings: a lookup and a rebuild of every kind, and the refusal of hostile expressions.
//! `make bench-ring` runs it; a plain test run tries each only once and measures nothing.
//!
//! Targets: a lookup on the uniform ring of 64 seats takes at most 30 ns, and a change of its seats
//! 10 ms. Refusing a hostile expression takes at most 10 ms. So does building the slowest legal
//! ring with its shares.

use std::collections::BTreeSet;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use ringmaster::ring::forecast::KeyShares;
use ringmaster::ring::{Key, NAMED, Seat, Spec};

/// Keys that are looked up in turn: more than branch prediction learns by heart.
const KEYS: u64 = 4096;

/// A ring of one's own.
const CUSTOM: &str = "classic:h=i^2+2*i+17,phi=i^2+j^2+2*j+26";

fn first(n: u32) -> BTreeSet<Seat> {
    (1..=n).map(Seat).collect()
}

fn kinds() -> Vec<(Spec, u32)> {
    let named = NAMED.into_iter().map(|spec| {
        // Rings of slots have room for 56 seats.
        let seats = if spec.is_classic() { 56 } else { 64 };
        (spec, seats)
    });
    let custom = (CUSTOM.parse().expect("a ring"), 56);
    named.chain([custom]).collect()
}

/// Six-digit IDs in no order.
fn ids() -> Vec<Key> {
    let scattered = |n: u64| Key(100_000 + n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 900_000);
    (0..KEYS).map(scattered).collect()
}

fn lookup(criterion: &mut Criterion) {
    let ids = ids();
    for (spec, seats) in kinds() {
        let ring = spec.build(&first(seats)).expect("a ring");
        let mut next = ids.iter().cycle();
        criterion.bench_function(&format!("lookup, {seats} seats, {spec}"), |bench| {
            bench.iter(|| ring.owner(*next.next().expect("endless")));
        });
    }
}

fn rebuild(criterion: &mut Criterion) {
    for (spec, seats) in kinds() {
        let seats = first(seats);
        criterion.bench_function(
            &format!("rebuild, {} seats, {spec}", seats.len()),
            |bench| {
                bench.iter(|| spec.build(black_box(&seats)));
            },
        );
    }
}

/// Adds and removes a seat.
fn change(criterion: &mut Criterion) {
    for (spec, seats) in kinds().into_iter().filter(|(spec, _)| !spec.is_classic()) {
        let (small, large) = (first(seats - 1), first(seats));
        let [add, rm] = [(&small, &large), (&large, &small)];
        for (what, (before, after)) in [("add", add), ("rm", rm)] {
            let ring = spec.build(before).expect("a ring");
            criterion.bench_function(&format!("{what}, {seats} seats, {spec}"), |bench| {
                bench.iter(|| ring.reseated(black_box(after)));
            });
        }
    }
}

/// Texts that make the parser or the ring work long: refused ones, and the longest, deepest and
/// most crowded legal ones.
fn hostile(criterion: &mut Criterion) {
    let powers = format!("1{}", "^i".repeat(63));
    let deep = format!("{}i{}", "(".repeat(16), ")".repeat(16));
    let endless = "(".repeat(60_000);
    let overflow = format!("{}9", "9^".repeat(63));
    let crowd = |phi: String| format!("classic:phi={phi}-j*0,slots=2048,vnodes=1,probe=quadratic");
    let (one_wish, own_wishes) = ("1*".repeat(61) + "1", "i+".repeat(61) + "i");
    let texts = [
        ("60,000 brackets", format!("classic:h={endless}"), None),
        (
            "division by zero",
            "classic:h=1/(i-1073741823)".to_owned(),
            None,
        ),
        ("overflow", format!("classic:h={overflow}"), None),
        (
            "powers",
            format!("classic:h={powers},phi={powers}"),
            Some(56),
        ),
        (
            "64 operands",
            format!("classic:h={}i", "i+".repeat(63)),
            Some(56),
        ),
        ("the deepest", format!("classic:h={deep}"), Some(56)),
        (
            "every wish the same, 2048 seats",
            crowd(one_wish),
            Some(2048),
        ),
        ("a wish for each, 2048 seats", crowd(own_wishes), Some(2048)),
    ];
    for (what, text, seats) in texts {
        let first = first(seats.unwrap_or(1));
        let made = || black_box(&text).parse::<Spec>().ok()?.build(&first).ok();
        assert_eq!(made().is_some(), seats.is_some(), "{text}");
        criterion.bench_function(&format!("hostile, {what}"), |bench| bench.iter(made));
        if let Some(ring) = made() {
            criterion.bench_function(&format!("shares, {what}"), |bench| {
                bench.iter(|| KeyShares::sampled(&*ring));
            });
        }
    }
}

criterion_group!(rings, lookup, rebuild, change, hostile);
criterion_main!(rings);
