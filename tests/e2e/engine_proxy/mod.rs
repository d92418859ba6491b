//! `engine-proxy` between a balancer and an engine: it stops no call of the balancer, and every
//! other one.

mod denied;
mod life;
mod raw;
mod real;
mod streams;
