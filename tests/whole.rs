//! Whole-program tests: they start the real binary and speak raw bytes to it. One file per behaviour,
//! one test per bug, all in one binary, because linking it is the slowest part.

mod support;

mod whole {
    mod access_log;
    mod admin;
    mod balance;
    mod bodies;
    mod bound;
    mod chaos;
    mod client_gone;
    mod clock;
    mod ctl;
    mod docker;
    mod drain;
    mod early_reply;
    mod fairness;
    mod faults;
    mod fleet;
    mod forward;
    mod guard;
    mod h1;
    mod harness;
    mod home;
    mod life;
    mod limits;
    mod lines;
    mod manual;
    mod metrics;
    mod passed_on;
    mod private_connections;
    mod readme;
    mod retry;
    mod ring;
    mod services;
    mod signals;
    mod splice;
    mod stale_408;
    mod stats;
    mod switch;
    mod takeover;
    mod text;
    mod timeouts;
    mod tunnel;
    mod volume;
}
