//! Workers for the tests of other files, without replicas or with test replicas.

use super::*;
use crate::load::LoadBound;
use crate::metrics::ReplicaCounters;
use crate::ring::Seat;
use crate::roster::{Health, Member, ReplicaAddr, Roster};
use std::net::SocketAddr;

impl Worker {
    /// Creates a worker with an empty roster and limits of a second.
    pub(in super::super) fn without_replicas() -> Self {
        Self::with_replicas(&[], None)
    }

    /// Creates a worker with these members in seats 1, 2 … of the default ring.
    pub(in super::super) fn with_replicas(
        addrs: &[SocketAddr],
        access_log: Option<crate::proxy::AccessLogHandle>,
    ) -> Self {
        Self::with_settings(addrs, |settings| settings.access_log = access_log)
    }

    /// Creates a worker with these members, and settings that `change` has changed.
    pub(in super::super) fn with_settings(
        addrs: &[SocketAddr],
        change: impl FnOnce(&mut ProxySettings),
    ) -> Self {
        let second = Duration::from_secs(1);
        let limits = crate::proxy::ProxyLimits {
            connect_timeout: second,
            head_timeout: second,
            body_timeout: second,
            reply_timeout: second,
            write_timeout: second,
            idle_timeout: second,
            half_close_grace: second,
            tunnel_timeout: second,
            drain_timeout: second,
            seat_wait: second,
            max_connections: 1,
            max_head: 16 * 1024,
            pipes_per_worker: 1,
            pool_per_seat: 4,
            pool_idle: second,
        };
        let mut settings = ProxySettings {
            balance: crate::proxy::BalanceMode::Request,
            send_proxy: None,
            key: "header:x-request-id,random".parse().unwrap(),
            accept_proxy: Vec::new(),
            clients: Arc::default(),
            retries: 2,
            retry_on: Default::default(),
            eject: None,
            slow_guard: true,
            in_flight: None,
            admin: None,
            splice: true,
            via: None,
            access_log: None,
            limits,
        };
        change(&mut settings);
        let member = |(addr, n): (&SocketAddr, u32)| Member {
            id: ReplicaId(u64::from(n)),
            seat: Seat(n),
            name: format!("S{n}").parse().unwrap(),
            addr: ReplicaAddr((*addr).into()),
            health: Health::Up,
            drained: false,
            slow_start: None,
            counters: Arc::new(ReplicaCounters::new(1)),
        };
        let members: Vec<Member> = addrs.iter().zip(1..).map(member).collect();
        let seats = members.iter().map(|member| member.seat).collect();
        let ring = crate::ring::Spec::Uniform.build(&seats).unwrap();
        let roster = Roster::new(0, ring, LoadBound::OFF, false, members);
        let (_, mut subscribers) = crate::roster::channel(1, roster);
        let (orders, _) = crate::orders::order_queue();
        let (evidence, _) = mpsc::channel(1);
        let port = Arc::new(DataPortCounters::new(1));
        Self::new(
            Arc::new(settings),
            port,
            orders,
            evidence,
            &mut subscribers[0],
        )
    }
}
