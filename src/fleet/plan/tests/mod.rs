//! Tests of the plan: rule by rule, and against a model of its environment under random schedules.
//! Both make up the time.

mod backend_orders;
mod backoff;
mod bench;
mod candidates;
mod changes;
mod drain;
mod eviction;
mod found_standbys;
mod handover;
mod model;
mod probe_failures;
mod replace;
mod ring_settings;
mod rollout;
mod service;
mod service_model;
mod service_orders;
mod show;
mod silence;
mod slow_start;
mod standbys;
mod start;
mod verdicts;
