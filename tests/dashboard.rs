//! The dashboard in a real browser, headless Chromium: what is there, what a click does, what is said when
//! the balancer is gone; and pictures of it in `target/page`, to be looked at.
//!
//! `make test-page` runs it. It is no part of `make test`, since it needs `chromium` and `chromium-driver`;
//! without them it fails and says so.

#[expect(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "it leans on a part of what whole-program tests need"
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
    mod token;
}
