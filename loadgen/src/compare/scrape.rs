//! Requests of a proxy's metrics, as Prometheus would send them.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval};

/// Time between two requests.
const SCRAPE_INTERVAL: Duration = Duration::from_secs(1);

/// Requests the metrics immediately and then once per second, until cancelled. Returns an error
/// only.
pub(crate) async fn scrape_forever(addr: SocketAddr) -> anyhow::Error {
    let mut ticks = interval(SCRAPE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(err) = scrape(addr).await {
            return err.context("requesting the metrics");
        }
    }
}

async fn scrape(addr: SocketAddr) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(addr).await.context("connecting")?;
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).await?;
    let text = String::from_utf8_lossy(&reply);
    ensure!(
        text.starts_with("HTTP/1.1 200 ") && text.contains("# TYPE "),
        "{addr} answered {:?}",
        text.lines().next().unwrap_or_default()
    );
    Ok(())
}
