//! Messages between both processes: one line of JSON in each direction, or one word.
//!
//! Between two versions of the program fields may be added, never changed; unknown fields are
//! ignored.

use std::fmt;

use serde_json::{Value, json};

use crate::config::ReplicaSource;
use crate::fleet::Inherited;
use crate::load::LoadBound;
use crate::orders::BackendSeat;
use crate::ring::{Seat, Spec, Weight};
use crate::roster::{Health, Roster};
use crate::wire::unix_listener::FileIdentity;

/// Successor to old process: prepare the handoff, send the fleet's state.
pub(super) const YIELD: &str = "yield";
/// Old process to successor: the request came too late; the old process continues.
pub(super) const LATE: &str = "late";
/// Successor to old process: commit, the successor serves.
pub(super) const GO: &str = "go";
/// Longest line in bytes: about 60 per seat, times the largest number of seats.
pub(super) const MAX_LINE: u64 = 1024 * 1024;

/// Identity of the old process. Its sockets are sent along: data port, control port, this Unix
/// socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InstanceInfo {
    /// Engine that starts its replicas.
    pub(crate) engine: String,
    /// Fleet label of its containers; empty without containers.
    pub(crate) fleet: String,
}

/// For use in a sentence.
impl fmt::Display for InstanceInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--engine {}", self.engine)?;
        match self.fleet.as_str() {
            "" => Ok(()),
            fleet => write!(f, " --fleet {fleet}"),
        }
    }
}

impl InstanceInfo {
    /// Returns the identity of an instance with these replicas.
    pub(crate) fn from_replicas(replicas: &ReplicaSource) -> Self {
        Self {
            engine: replicas.engine().to_owned(),
            fleet: replicas.fleet().to_owned(),
        }
    }

    pub(super) fn to_line(&self, kinds: SocketKinds) -> String {
        let Self { engine, fleet } = self;
        let mut line = json!({ "engine": engine, "fleet": fleet, "pid": std::process::id() });
        for (field, is_there) in kinds.fields() {
            line[field] = is_there.into();
        }
        for (field, file) in kinds.files() {
            line[field] = json!(file.map(|file| [file.dev, file.ino]));
        }
        format!("{line}\n")
    }

    /// Parses identity, sockets and process ID. The kernel knows only the process that made the
    /// socket, which may be an earlier one.
    pub(super) fn parse(line: &str) -> Option<(Self, SocketKinds, u32)> {
        let value: Value = serde_json::from_str(line).ok()?;
        let text = |field: &str| value[field].as_str().map(str::to_owned);
        let around = Self {
            engine: text("engine")?,
            fleet: text("fleet")?,
        };
        let pid = u32::try_from(value["pid"].as_u64()?).ok()?;
        let flag = |field: &str, default| value[field].as_bool().unwrap_or(default);
        let kinds = SocketKinds {
            data_unix: flag(DATA_UNIX, false),
            control_tcp: flag(CONTROL_TCP, true),
            control_unix: flag(CONTROL_UNIX, false),
            data_file: parse_file(&value[DATA_FILE]),
            control_file: parse_file(&value[CONTROL_FILE]),
        };
        Some((around, kinds, pid))
    }
}

const DATA_UNIX: &str = "data_unix";
const CONTROL_TCP: &str = "control_tcp";
const CONTROL_UNIX: &str = "control_unix";
const DATA_FILE: &str = "data_file";
const CONTROL_FILE: &str = "control_file";

/// Parses device and inode of a file.
fn parse_file(value: &Value) -> Option<FileIdentity> {
    let (dev, ino) = (value[0].as_u64()?, value[1].as_u64()?);
    Some(FileIdentity { dev, ino })
}

/// Sockets that are sent, in this order: those of TCP for the data port, its Unix socket, those of
/// the control port, and that of the takeover. A process without these fields sends a control port
/// of TCP and no Unix socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SocketKinds {
    /// `true` if the data port has a Unix socket.
    pub(crate) data_unix: bool,
    /// `true` if the control port has a socket of TCP.
    pub(crate) control_tcp: bool,
    /// `true` if the control port has a Unix socket.
    pub(crate) control_unix: bool,
    /// File of the data port's Unix socket.
    pub(crate) data_file: Option<FileIdentity>,
    /// File of the control port's Unix socket.
    pub(crate) control_file: Option<FileIdentity>,
}

impl SocketKinds {
    fn fields(self) -> [(&'static str, bool); 3] {
        [
            (DATA_UNIX, self.data_unix),
            (CONTROL_TCP, self.control_tcp),
            (CONTROL_UNIX, self.control_unix),
        ]
    }

    fn files(self) -> [(&'static str, Option<FileIdentity>); 2] {
        [
            (DATA_FILE, self.data_file),
            (CONTROL_FILE, self.control_file),
        ]
    }
}

/// State that the successor starts with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FleetState {
    /// Kind of ring.
    pub(crate) ring: Spec,
    /// Bound of a seat's load.
    pub(crate) bound: LoadBound,
    /// Seats and their replicas, in the order of `/rep`.
    pub(crate) seats: Vec<Inherited>,
    /// Fixed backends; `None` with other engines.
    pub(crate) backends: Option<InheritedBackends>,
}

/// Fixed backends of the old process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InheritedBackends {
    /// Backends of its flags.
    pub(crate) flags: Vec<BackendSeat>,
    /// Backends in effect, which orders may have changed.
    pub(crate) latest: Vec<BackendSeat>,
}

impl FleetState {
    /// Copies the state from a roster.
    pub(crate) fn from_roster(roster: &Roster) -> Self {
        let (members, weights) = (roster.members().iter(), roster.ring.weights());
        let mut seats: Vec<_> = members
            .map(|member| Inherited {
                seat: member.seat,
                name: (member.health != Health::Down).then(|| member.name.clone()),
                drained: member.drained,
                weight: weights.of(member.seat),
            })
            .collect();
        let empty = roster.ring.seats().iter();
        let empty = empty.filter(|seat| roster.member(**seat).is_none());
        seats.extend(empty.map(|seat| Inherited {
            seat: *seat,
            name: None,
            drained: false,
            weight: weights.of(*seat),
        }));
        Self {
            ring: roster.ring.spec().clone(),
            bound: roster.bound,
            seats,
            backends: None,
        }
    }

    /// Adds the fixed backends of the flags and those in effect.
    pub(crate) fn with_backends(
        self,
        (flags, latest): (Vec<BackendSeat>, Vec<BackendSeat>),
    ) -> Self {
        let has_backends = !(flags.is_empty() && latest.is_empty());
        let backends = InheritedBackends { flags, latest };
        Self {
            backends: has_backends.then_some(backends),
            ..self
        }
    }

    pub(super) fn to_line(&self) -> String {
        let seats = self.seats.iter();
        let seats = seats.map(|one| {
            let name = one.name.as_ref().map(AsRef::<str>::as_ref);
            let (seat, weight) = (one.seat.0, one.weight.get());
            json!({ "seat": seat, "name": name, "drained": one.drained, "weight": weight })
        });
        let mut line = json!({
            "ring": self.ring.to_string(),
            "bound": self.bound.to_string(),
            "seats": seats.collect::<Vec<_>>(),
        });
        if let Some(InheritedBackends { flags, latest }) = &self.backends {
            line["backends"] = json!({ "flags": to_list(flags), "latest": to_list(latest) });
        }
        format!("{line}\n")
    }

    pub(super) fn parse(line: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(line).ok()?;
        let seat = |entry: &Value| {
            Some(Inherited {
                seat: u32::try_from(entry["seat"].as_u64()?).ok().map(Seat)?,
                name: entry["name"].as_str().and_then(|name| name.parse().ok()),
                drained: entry["drained"].as_bool().unwrap_or(false),
                weight: weight(&entry["weight"])?,
            })
        };
        let seats = value["seats"].as_array()?.iter().map(seat);
        Some(Self {
            ring: value["ring"].as_str()?.parse().ok()?,
            bound: value["bound"].as_str()?.parse().ok()?,
            seats: seats.collect::<Option<_>>()?,
            backends: match &value["backends"] {
                Value::Null => None,
                backends => Some(InheritedBackends {
                    flags: from_list(&backends["flags"])?,
                    latest: from_list(&backends["latest"])?,
                }),
            },
        })
    }
}

/// Parses a weight, which an older process does not send.
fn weight(value: &Value) -> Option<Weight> {
    match value {
        Value::Null => Some(Weight::ONE),
        number => number.as_u64()?.try_into().ok(),
    }
}

fn to_list(backends: &[BackendSeat]) -> Value {
    let list = backends.iter().map(|backend| {
        let BackendSeat {
            seat,
            name,
            addr,
            weight,
        } = backend;
        json!([seat.0, name.to_string(), addr.to_string(), weight.get()])
    });
    list.collect()
}

fn from_list(list: &Value) -> Option<Vec<BackendSeat>> {
    let backend = |entry: &Value| {
        Some(BackendSeat {
            seat: u32::try_from(entry[0].as_u64()?).ok().map(Seat)?,
            name: entry[1].as_str()?.parse().ok()?,
            addr: entry[2].as_str()?.parse().ok()?,
            weight: weight(&entry[3])?,
        })
    };
    list.as_array()?.iter().map(backend).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_a_round_trip() {
        let around = InstanceInfo {
            engine: "process".to_owned(),
            fleet: "a".to_owned(),
        };
        let kinds = SocketKinds {
            data_unix: true,
            control_tcp: false,
            control_unix: true,
            data_file: Some(FileIdentity {
                dev: 7,
                ino: u64::MAX,
            }),
            control_file: None,
        };
        let pid = std::process::id();
        let expected = Some((around.clone(), kinds, pid));
        assert_eq!(InstanceInfo::parse(&around.to_line(kinds)), expected);
        let of_old_version = r#"{"engine":"process","fleet":"a","pid":7}"#;
        let kinds = SocketKinds {
            data_unix: false,
            control_tcp: true,
            control_unix: false,
            data_file: None,
            control_file: None,
        };
        let expected = Some((around, kinds, 7));
        assert_eq!(InstanceInfo::parse(of_old_version), expected);
        let state = FleetState {
            ring: "classic:h=i*i,phi=i+j,slots=64,vnodes=3,probe=linear"
                .parse()
                .unwrap(),
            bound: "1.25".parse().unwrap(),
            seats: vec![
                Inherited {
                    seat: Seat(4),
                    name: "S4".parse().ok(),
                    drained: true,
                    weight: Weight::try_from(256).unwrap(),
                },
                Inherited {
                    seat: Seat(1),
                    name: None,
                    drained: false,
                    weight: Weight::ONE,
                },
            ],
            backends: None,
        };
        assert_eq!(FleetState::parse(&state.to_line()), Some(state.clone()));
        let backend = |seat, name: &str, addr: &str| BackendSeat {
            seat: Seat(seat),
            name: name.parse().unwrap(),
            addr: addr.parse().unwrap(),
            weight: Weight::try_from(u64::from(seat)).unwrap(),
        };
        let (a, b) = (backend(1, "a", "web-0.web:80"), backend(7, "b", "[::1]:80"));
        let with_backends = state.clone().with_backends((vec![a.clone()], vec![b, a]));
        assert!(with_backends.backends.is_some());
        let parsed = FleetState::parse(&with_backends.to_line());
        assert_eq!(parsed, Some(with_backends));
        let older = state.to_line().replace(r#","weight":1}"#, "}");
        assert_eq!(FleetState::parse(&older), Some(state.clone()));
        let more = state.to_line().replacen('{', r#"{"later":[1],"#, 1);
        assert_eq!(FleetState::parse(&more), Some(state));
    }

    #[test]
    fn a_seat_without_a_replica_is_handed_over_with_its_weight() {
        let weight = Weight::try_from(3).unwrap();
        let weights = [(Seat(2), weight)].into_iter().collect();
        let seats = [Seat(1), Seat(2)].into();
        let ring = Spec::Uniform.build_weighted(&seats, &weights).unwrap();
        let roster = Roster::new(0, ring, LoadBound::OFF, true, Vec::new());
        let state = FleetState::from_roster(&roster);
        let handed_over: Vec<_> = (state.seats.iter())
            .map(|seat| (seat.seat, seat.weight))
            .collect();
        assert_eq!(handed_over, [(Seat(1), Weight::ONE), (Seat(2), weight)]);
    }

    #[test]
    fn nonsense_is_not() {
        for line in ["", "{}", "[1]", r#"{"engine":"x"}"#] {
            assert_eq!(
                (InstanceInfo::parse(line), FleetState::parse(line)),
                (None, None),
                "{line}"
            );
        }
        let seats = r#"{"ring":"uniform","bound":"0","seats":[{"seat":-1}]}"#;
        assert_eq!(FleetState::parse(seats), None);
    }
}
