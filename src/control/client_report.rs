//! The report about the clients of the data port: `show clients` and `GET /clients`.

use serde_json::{Value, json};

use super::ring_report::Report;
use super::text_table::aligned;
use crate::clients::{ClientLimits, ClientPolicy, ClientReport};

/// Heads of the columns.
const COLUMNS: [&str; 5] = [
    "CLIENT",
    "OPEN",
    "REQUESTS",
    "CONNECTIONS_REFUSED",
    "REQUESTS_REFUSED",
];

/// Returns the limits, and the clients with the most refusals first.
pub(super) fn report(policy: &ClientPolicy) -> Report {
    let Some((limits, known, worst)) = policy.report() else {
        let line = "no limit holds for single clients; see --max-connections-per-client and --rate-per-client";
        let json = json!({"limits": null, "known": 0, "clients": []});
        return (vec![line.to_owned()], json);
    };
    let mut lines = vec![limits_line(limits), format!("clients {known}")];
    lines.extend(table(&worst));
    let clients: Vec<Value> = worst.iter().map(client_json).collect();
    let limits = json!({
        "connections": limits.connections,
        "rate": limits.rate.map(|(rate, _)| rate.to_string()),
        "burst": limits.rate.map(|(_, bucket)| bucket.burst),
    });
    (
        lines,
        json!({"limits": limits, "known": known, "clients": clients}),
    )
}

fn limits_line(limits: &ClientLimits) -> String {
    let none = || "none".to_owned();
    let connections = limits.connections.map_or_else(none, |max| max.to_string());
    let (rate, burst) = match limits.rate {
        Some((rate, bucket)) => (rate.to_string(), bucket.burst.to_string()),
        None => (none(), none()),
    };
    format!("limits connections {connections} rate {rate} burst {burst}")
}

fn table(clients: &[ClientReport]) -> Vec<String> {
    let mut rows = vec![COLUMNS.map(str::to_owned).to_vec()];
    rows.extend(clients.iter().map(|client| {
        let cells = [
            client.addr.to_string(),
            client.open.to_string(),
            client.requests.to_string(),
            client.connections_refused.to_string(),
            client.requests_refused.to_string(),
        ];
        cells.to_vec()
    }));
    aligned(&rows)
}

fn client_json(client: &ClientReport) -> Value {
    json!({
        "client": client.addr.to_string(),
        "open": client.open,
        "requests": client.requests,
        "connections_refused": client.connections_refused,
        "requests_refused": client.requests_refused,
    })
}
