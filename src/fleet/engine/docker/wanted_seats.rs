//! The wanted seats as a label keeps them, so that a crash of everything does not change N.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::ring::Seat;

/// Wanted seats. Displayed, they are the label: `1,2,5`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::fleet) struct WantedSeats(pub(in crate::fleet) BTreeSet<Seat>);

impl WantedSeats {
    /// Returns the seats of the first start: 1 to `count`.
    pub(super) fn first(count: usize) -> Self {
        Self((1..).map(Seat).take(count).collect())
    }
}

impl fmt::Display for WantedSeats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seats: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&seats.join(","))
    }
}

impl FromStr for WantedSeats {
    type Err = std::num::ParseIntError;

    fn from_str(label: &str) -> Result<Self, Self::Err> {
        let seats = label.split(',').filter(|seat| !seat.is_empty());
        let seats = seats.map(|seat| seat.parse().map(Seat));
        seats.collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_keeps_the_seats() {
        for (seats, label) in [(&[][..], ""), (&[1], "1"), (&[5, 1, 12], "1,5,12")] {
            let seats = WantedSeats(seats.iter().copied().map(Seat).collect());
            assert_eq!(seats.to_string(), label);
            assert_eq!(label.parse(), Ok(seats));
        }
        assert_eq!(WantedSeats::first(2).to_string(), "1,2");
        assert!("1,x".parse::<WantedSeats>().is_err());
    }
}
