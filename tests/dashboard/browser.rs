//! A browser of a test's own: headless Chromium behind its driver, on a port that the driver
//! chooses. What the page asked for and what the browser complained of is kept.
//!
//! Waits look at the page again and again, under the deadline of all tests. Starting a browser has
//! a longer one, since on a busy machine that takes seconds.

use std::process::Child;
use std::time::{Duration, Instant};

use axum::http::Method;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use url::{ParseError, Url};

use super::driver::{self, START};
use crate::support::{Ringmaster, TEST_TIMEOUT};

/// Interval of polling a condition.
const TICK: Duration = Duration::from_millis(40);

/// A window, with one page in it.
#[derive(Debug)]
pub(crate) struct Browser {
    runtime: Runtime,
    client: Option<Client>,
    driver: Child,
}

/// Preferences of a visitor's system.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) dark: bool,
}

impl Screen {
    /// A desk's.
    pub(crate) const WIDE: Self = Self {
        width: 1440,
        height: 1000,
        dark: false,
    };
}

/// A command that the driver has beyond the standard.
#[derive(Debug)]
struct Own {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Own {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!(
            "session/{}/{}",
            session.unwrap_or_default(),
            self.path
        ))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}

impl Browser {
    /// Opens a window of this size at `url`.
    #[track_caller]
    pub(crate) fn open(screen: Screen, url: &str) -> Self {
        let (driver, port) = driver::start();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("an event loop");
        let mut browser = Self {
            runtime,
            client: None,
            driver,
        };
        let connect = async {
            ClientBuilder::new(HttpConnector::new())
                .capabilities(driver::capabilities())
                .connect(&format!("http://127.0.0.1:{port}"))
                .await
        };
        let connected = browser
            .runtime
            .block_on(async { tokio::time::timeout(START, connect).await });
        let client = connected.expect("a browser in time");
        browser.client = Some(client.expect("chromium, which chromium-driver starts"));
        browser.see(screen);
        browser.go(url);
        browser
    }

    /// Opens the dashboard of this balancer and waits until it has its first answer.
    #[track_caller]
    pub(crate) fn at(program: &Ringmaster) -> Self {
        let url = format!("http://127.0.0.1:{}/", program.control.port());
        let browser = Self::open(Screen::WIDE, &url);
        browser.until("an answer on the page", "document.title.includes('up ·')");
        browser
    }

    fn run<T, E: std::fmt::Debug>(&self, command: impl Future<Output = Result<T, E>>) -> T {
        let done = self.runtime.block_on(async {
            tokio::time::timeout(START, command)
                .await
                .expect("an answer of the driver in time")
        });
        done.expect("what the driver was asked for")
    }

    fn client(&self) -> &Client {
        self.client.as_ref().expect("a session")
    }

    fn own(&self, path: &'static str, body: Value) -> Value {
        self.run(self.client().issue_cmd(Own { path, body }))
    }

    /// Sends a command of the debugging protocol to the browser.
    fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({"cmd": command, "params": parameters});
        self.own("goog/cdp/execute", body)
    }

    /// Makes the window look like this one.
    pub(crate) fn see(&self, screen: Screen) {
        let scheme = if screen.dark { "dark" } else { "light" };
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.devtools("Emulation.setEmulatedMedia", json!({"features": features}));
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            json!({"width": screen.width, "height": screen.height, "deviceScaleFactor": 1, "mobile": false}),
        );
    }

    /// Runs a script before those of the page, after a reload.
    pub(crate) fn load_after(&self, script: &str) {
        let load = json!({"source": script});
        self.devtools("Page.addScriptToEvaluateOnNewDocument", load);
        self.run(self.client().refresh());
    }

    /// Lets no address through that fits one of these patterns.
    pub(crate) fn block(&self, patterns: &[&str]) {
        self.devtools("Network.enable", json!({}));
        self.devtools("Network.setBlockedURLs", json!({"urls": patterns}));
    }

    pub(crate) fn go(&self, url: &str) {
        self.run(self.client().goto(url));
    }

    /// The value of an expression.
    #[track_caller]
    pub(crate) fn eval(&self, expression: &str) -> Value {
        let script = format!("return ({expression})");
        self.run(self.client().execute(&script, vec![]))
    }

    /// Waits until an expression is true.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, expression: &str) {
        let begun = Instant::now();
        while self.eval(expression) != true {
            if begun.elapsed() > TEST_TIMEOUT {
                let (page, seen) = (self.text("body"), self.eval("document.visibilityState"));
                let complaints = self.complaints().join("\n");
                panic!(
                    "not within {TEST_TIMEOUT:?}: {what}: {expression}\n--- the page, {seen}\n{page}\n{complaints}\n---"
                );
            }
            std::thread::sleep(TICK);
        }
    }

    /// The text of the first element of this selector, as it is shown.
    #[track_caller]
    pub(crate) fn text(&self, selector: &str) -> String {
        let text = async {
            let element = self.client().find(Locator::Css(selector)).await?;
            element.text().await
        };
        self.run(text)
    }

    /// Number of elements that match this selector.
    #[track_caller]
    pub(crate) fn count(&self, selector: &str) -> usize {
        self.run(self.client().find_all(Locator::Css(selector)))
            .len()
    }

    /// Clicks where the element is; an element that is not to be seen cannot be clicked.
    #[track_caller]
    pub(crate) fn click(&self, selector: &str) {
        let click = async {
            let element = self.client().find(Locator::Css(selector)).await?;
            element.click().await
        };
        self.run(click);
    }

    /// Replaces the text of a field.
    #[track_caller]
    pub(crate) fn fill(&self, selector: &str, text: &str) {
        let fill = async {
            let element = self.client().find(Locator::Css(selector)).await?;
            element.clear().await?;
            element.send_keys(text).await
        };
        self.run(fill);
    }

    /// Presses keys, wherever the focus is.
    #[track_caller]
    pub(crate) fn press(&self, keys: &str) {
        let press = async {
            let element = self.client().active_element().await?;
            element.send_keys(keys).await
        };
        self.run(press);
    }

    /// A picture of the window, or of the whole page if the height is 0.
    pub(crate) fn picture(&self, screen: Screen) -> Vec<u8> {
        self.see(screen);
        let height = match screen.height {
            0 => self.eval("document.documentElement.scrollHeight").as_u64(),
            height => Some(height.into()),
        };
        let height = height.and_then(|height| u32::try_from(height).ok());
        self.see(Screen {
            height: height.expect("a height"),
            ..screen
        });
        // Drawn before it is looked at.
        let drawn =
            "return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))";
        self.run(self.client().execute(drawn, vec![]));
        self.run(self.client().screenshot())
    }

    fn log(&self, kind: &str) -> Vec<Value> {
        let lines = self.own("se/log", json!({"type": kind}));
        lines.as_array().cloned().unwrap_or_default()
    }

    /// Messages of the browser's console since the last call. A change of this machine's network is
    /// left out: containers of other tests come and go.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let lines = self.log("browser");
        let texts = lines.iter().filter_map(|line| line["message"].as_str());
        let ours = texts.filter(|text| !text.ends_with("net::ERR_NETWORK_CHANGED"));
        ours.map(str::to_owned).collect()
    }

    /// Returns all addresses requested since the last call, answered or not.
    pub(crate) fn asked(&self) -> Vec<String> {
        let lines = self.log("performance");
        let lines = lines.iter().filter_map(|line| line["message"].as_str());
        let events = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let sent = events.filter(|event| event["message"]["method"] == "Network.requestWillBeSent");
        let url = |event: Value| {
            event["message"]["params"]["request"]["url"]
                .as_str()
                .map(str::to_owned)
        };
        sent.filter_map(url).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            // The driver ends the browser with the session; if not, there is nothing left to be
            // done.
            let _ = self
                .runtime
                .block_on(async { tokio::time::timeout(START, client.close()).await });
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
