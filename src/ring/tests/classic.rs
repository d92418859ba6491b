//! Slot rings: compared with the literal text of the coursework, by the exact table of their
//! shares, at the limit of their capacity, and as they are parsed and printed.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{Key, RingError, Seat, Spec};
use super::{CUSTOM, Random, all_kinds, build, distinct, first, walked};

/// Literal slot ring, with integers that cannot overflow.
struct Literal {
    h: fn(i128) -> i128,
    phi: fn(i128, i128) -> i128,
    slots: i128,
    vnodes: i128,
    quadratic: bool,
}

const COURSEWORK: Literal = Literal {
    h: |i| i * i + 2 * i + 17,
    phi: |i, j| i * i + j * j + 2 * j + 25,
    slots: 512,
    vnodes: 9,
    quadratic: false,
};

impl Literal {
    /// Returns the seat on each slot once seats 1 to `highest` are placed.
    fn place(&self, highest: u32) -> BTreeMap<i128, Seat> {
        let mut placed = BTreeMap::new();
        for i in 1..=highest {
            for j in 1..=self.vnodes {
                let preferred = (self.phi)(i.into(), j);
                let squares = (0..self.slots).filter(|_| self.quadratic).map(|n| n * n);
                let mut candidates = squares.chain(0..self.slots);
                let free = candidates.find_map(|step| {
                    let slot = (preferred + step).rem_euclid(self.slots);
                    (!placed.contains_key(&slot)).then_some(slot)
                });
                placed.insert(free.unwrap(), Seat(i));
            }
        }
        placed
    }

    fn expect(&self, spec: &Spec, seats: &BTreeSet<Seat>, keys: Vec<Key>) {
        let ring = build(spec, seats);
        let placed = self.place(seats.last().unwrap().0);
        for key in keys {
            let start = (self.h)(i128::from(key.0) % (1 << 30));
            let around = (start..start + self.slots).map(|slot| slot.rem_euclid(self.slots));
            let seen = around.filter_map(|slot| placed.get(&slot).copied());
            let expected = distinct(seen.filter(|seat| seats.contains(seat)));
            assert_eq!(walked(&*ring, key), expected, "{spec}");
        }
    }
}

#[test]
fn rings_of_slots_equal_the_text_taken_literally() {
    let brief = Literal {
        h: |i| i + 2 * i * i + 17,
        phi: |i, j| i + j + 2 * j * j + 25,
        ..COURSEWORK
    };
    let quadratic = Literal {
        quadratic: true,
        ..COURSEWORK
    };
    let scrambled = Literal {
        h: |i| i * 2_654_435_761 % 4093,
        phi: |i, j| (i * 31 + j) * 40503,
        slots: 1024,
        vnodes: 17,
        quadratic: false,
    };
    let negative = Literal {
        h: |i| 7 - i,
        phi: |i, j| -i * j - j,
        slots: 1000,
        vnodes: 3,
        quadratic: true,
    };
    let mut pairs = vec![(Spec::Classic, COURSEWORK), (Spec::ClassicBrief, brief)];
    let custom = CUSTOM.map(|text| text.parse().unwrap());
    pairs.extend(custom.into_iter().zip([quadratic, scrambled, negative]));
    let mut random = Random(7);
    for (spec, literal) in pairs {
        for _ in 0..6 {
            let seats: BTreeSet<Seat> = random.seats(6).into_iter().collect();
            literal.expect(&spec, &seats, random.keys(30));
        }
        // With all seats, nearly every slot is taken, and probing goes far.
        literal.expect(&spec, &first(56), random.keys(60));
    }
}

#[test]
fn named_rings_equal_the_same_ones_typed() {
    let pairs = [
        ("classic", "classic:h=i*i+2*i+17,phi=i*i+j*j+2*j+25"),
        (
            "classic-brief",
            "classic:phi=i+j+2*j^2+25,h=i+2*i^2+17,vnodes=9",
        ),
    ];
    for (named, typed) in pairs {
        let seats: BTreeSet<Seat> = Random(9).seats(20).into_iter().collect();
        let [named, typed] = [named, typed].map(|text| build(&text.parse().unwrap(), &seats));
        for key in Random(10).keys(300) {
            assert_eq!(walked(&*named, key), walked(&*typed, key));
        }
    }
}

/// Returns the number of keys out of `ids` that each seat of 1..=n owns, ascending by seat.
fn classic_counts(n: u32, ids: std::ops::RangeInclusive<u64>) -> Vec<u64> {
    let ring = build(&Spec::Classic, &first(n));
    // H modulo 512 depends on the ID modulo 512 alone: classic_owners_repeat_every_512_keys.
    let owners: Vec<Seat> = (0..512).map(|id| ring.owner(Key(id)).unwrap()).collect();
    let mut counts = vec![0; n as usize];
    for id in ids {
        let owner = owners[usize::try_from(id % 512).unwrap()];
        counts[owner.0 as usize - 1] += 1;
    }
    counts
}

#[test]
fn classic_shares_are_the_exact_table() {
    let table: [&[u64]; 5] = [
        &[9531, 469],
        &[8359, 469, 1172],
        &[8047, 469, 1094, 391],
        &[7656, 469, 938, 391, 547],
        &[7266, 469, 938, 391, 547, 391],
    ];
    // Both readings of "six digits", with and without leading zeros, round to the same table.
    for ids in [0..=999_999, 100_000..=999_999] {
        let size = ids.clone().count() as u64;
        for (n, row) in (2..).zip(table) {
            let per_10_000 = |count: u64| (count * 10_000 + size / 2) / size;
            let counts = classic_counts(n, ids.clone());
            let shares: Vec<u64> = counts.into_iter().map(per_10_000).collect();
            assert_eq!(shares, row, "{n} seats, IDs {ids:?}");
        }
    }
}

#[test]
fn brief_shares_are_the_exact_ones() {
    let ring = build(&Spec::ClassicBrief, &first(3));
    let mut counts = [0_u32; 3];
    for id in 0..512 {
        counts[ring.owner(Key(id)).unwrap().0 as usize - 1] += 1;
    }
    // Of 512 keys. The same shares are 9648, 176 and 176 of 10,000.
    assert_eq!(counts, [494, 9, 9]);
    for Key(key) in Random(8).keys(2000) {
        assert_eq!(ring.owner(Key(key)), ring.owner(Key(key % 512)));
    }
}

#[test]
fn classic_owners_repeat_every_512_keys() {
    let ring = build(&Spec::Classic, &first(6));
    for Key(key) in Random(8).keys(5000) {
        assert_eq!(ring.owner(Key(key)), ring.owner(Key(key % 512)));
    }
}

#[test]
fn classic_holds_56_seats_and_not_57() {
    let ring = build(&Spec::Classic, &first(56));
    assert_eq!(walked(&*ring, Key(3)).len(), 56);
    let err = Spec::Classic.build(&first(57)).unwrap_err();
    let expected = RingError::Full {
        ring: Spec::Classic,
        capacity: 56,
        seat: Seat(57),
    };
    assert_eq!(err, expected);
    // The seat number counts, not the number of seats: seat 57's slots would depend on earlier
    // seats.
    assert!(Spec::Classic.build(&[Seat(57)].into()).is_err());
    assert!(err.to_string().contains("seats 1 to 56, not for seat 57"));
}

#[test]
fn quadratic_probing_reaches_87_slots_and_continues_linearly() {
    // Every virtual server prefers the same slot, and yet there is room for all 512.
    let spec: Spec = "classic:phi=7,vnodes=1,probe=quadratic".parse().unwrap();
    assert_eq!(walked(&*build(&spec, &first(512)), Key(1)).len(), 512);
    let squares: BTreeSet<u32> = (0..512_u32).map(|n| n * n % 512).collect();
    assert_eq!(squares.len(), 87);
    // Seat 1 has its preferred slot, seat 2 is 1 further on, seat 3 4 further on; H finds them from
    // below.
    let owner_of_slot = |slot: u32| {
        let text = format!("classic:h={slot},phi=7,vnodes=1,probe=quadratic");
        build(&text.parse().unwrap(), &first(88)).owner(Key(0))
    };
    assert_eq!(owner_of_slot(7), Some(Seat(1)));
    assert_eq!(owner_of_slot(8), Some(Seat(2)));
    assert_eq!(owner_of_slot(11), Some(Seat(3)));
    // Seat 88 finds none of them free, and takes the first free slot after its preferred one.
    assert_eq!(owner_of_slot(9), Some(Seat(88)));
}

#[test]
fn a_custom_ring_holds_as_many_seats_as_it_has_slots_for() {
    let small: Spec = "classic:slots=20,vnodes=6".parse().unwrap();
    assert!(small.build(&first(3)).is_ok());
    let err = small.build(&first(4)).unwrap_err().to_string();
    assert!(
        err.ends_with("has room for seats 1 to 3, not for seat 4"),
        "{err}"
    );
    let err = "classic:phi=100/(j-3)".parse::<Spec>().unwrap();
    let err = err.build(&first(1)).unwrap_err().to_string();
    assert_eq!(err, "phi divides by zero at i=1, j=3");
    let late: Spec = "classic:phi=1/(i-2)".parse().unwrap();
    assert!(late.build(&first(1)).is_ok() && late.build(&first(2)).is_err());
}

#[test]
fn a_spec_is_parsed_and_printed_alike() {
    for spec in all_kinds() {
        assert_eq!(spec.to_string().parse(), Ok(spec.clone()), "{spec}");
        assert_eq!(build(&spec, &first(2)).spec(), spec);
    }
    assert_eq!(Spec::default(), Spec::Uniform);
    let short: Spec = "classic:vnodes=4,slots=64".parse().unwrap();
    let whole = "classic:h=i^2+2*i+17,phi=i^2+j^2+2*j+25,slots=64,vnodes=4,probe=linear";
    assert_eq!(short.to_string(), whole);
    let [once, twice] = ["classic:h=i", "classic:h=2*i"].map(|text| text.parse::<Spec>().unwrap());
    assert_ne!(once, twice);
}

#[test]
fn an_unknown_ring_is_refused_with_a_sentence() {
    let cases = [
        ("", "unknown ring ''"),
        ("Uniform", "unknown ring 'Uniform': use uniform, classic"),
        ("classic ", "unknown ring 'classic '"),
        ("classic:", "'' is not a field"),
        ("classic:h", "'h' is not a field"),
        (
            "classic:h=i,h=i",
            "'h=i' is not a field of a ring, or is given twice",
        ),
        ("classic:size=4", "'size=4' is not a field"),
        ("classic:slots=0", "slots is not a number from 1 to 2048"),
        ("classic:slots=2049", "slots is not a number from 1 to 2048"),
        ("classic:slots=+9", "slots is not a number"),
        ("classic:slots=8", "vnodes is not a number from 1 to 8"),
        ("classic:vnodes=513", "vnodes is not a number from 1 to 512"),
        (
            "classic:probe=cubic",
            "probe is neither linear nor quadratic",
        ),
        ("classic:h=i+j", "h is a function of i alone, without j"),
        ("classic:h=x", "h holds 'x'"),
        ("classic:phi=", "phi is empty"),
        ("classic:h=1/i", "h divides by zero at i=0, and i may be"),
        ("classic:h=i^3", "h overflows 64 bits at i=1073741823"),
        ("classic:h=2^(5-i)", "h has a negative exponent at i=6"),
        (
            "classic:h=1/(i-500)",
            "h possibly divides by zero for some i",
        ),
    ];
    for (text, sentence) in cases {
        let err = text.parse::<Spec>().unwrap_err().to_string();
        assert!(err.contains(sentence), "{text}: {err}");
    }
}
