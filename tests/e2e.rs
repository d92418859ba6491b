//! Whole-program tests: they start the real binary and speak raw bytes to it. One file per
//! behaviour, one test per bug, all in one binary, because linking it is the slowest part.

mod support;

mod e2e {
    mod access_log;
    mod admin;
    mod balance;
    mod bodies;
    mod bound;
    mod chaos;
    mod client_gone;
    mod client_rules;
    mod clock;
    mod command_fuzz;
    mod config_file;
    mod ctl;
    mod docker;
    mod drain;
    mod early_reply;
    mod engine_proxy;
    mod fairness;
    mod faults;
    mod fleet;
    mod forwarded_fields;
    mod forwarding;
    mod h1;
    mod harness_selftest;
    mod in_flight_limit;
    mod key_affinity;
    mod limits;
    mod manual;
    mod metrics;
    mod private_connections;
    mod proxy_protocol;
    mod readme;
    mod retry;
    mod ring;
    mod ring_switch;
    mod sandbox;
    mod server_errors;
    mod service_manager;
    mod services;
    mod signals;
    mod slow_guard;
    mod slow_start;
    mod soak;
    mod splice;
    mod stale_408;
    mod startup_shutdown;
    mod stats;
    mod swarm;
    mod takeover;
    mod text;
    mod timeouts;
    mod tunnel;
    mod unix_sockets;
}
