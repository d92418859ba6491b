//! The dashboard in a real browser, headless Chromium: its contents, the effect of clicks, and the
//! text shown when the balancer is gone. Pictures of it are written to `target/page`.
//!
//! `make test-page` runs it. It is no part of `make test`, since it needs `chromium` and
//! `chromium-driver`; without them it fails and says so.

#[expect(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "it uses a part of the support of the whole-program tests"
)]
mod support;

mod dashboard {
    mod browser;
    mod changes;
    mod driver;
    mod life;
    mod load;
    mod lost;
    mod orders;
    mod pictures;
    mod rollout;
    mod token;
}
