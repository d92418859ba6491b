//! Metrics of the data port that belong to no seat.

use super::exposition::Families;
use super::samples::{by_class, unlabelled};
use crate::stats::PortCounts;

pub(super) fn add(families: &mut Families, port: &PortCounts) {
    let help = "Number of open client connections.";
    families.gauge("connections_open", help, unlabelled(port.open as f64));
    let help = "Maximum number of open client connections.";
    families.gauge("connections_limit", help, unlabelled(port.limit as f64));
    let mut count = |name, help, count| families.counter(name, help, unlabelled(count));
    let help = "Number of client connections that were closed for new ones at the limit, because they were idle or had not completed a head.";
    count("connections_evicted_total", help, port.evicted);
    let help = "Number of client connections that were reset because no replica could be reached, with --balance source or sni.";
    count("connections_unserved_total", help, port.unserved);
    let help = "Number of connections of proxies that were closed, because their PROXY header was missing, malformed or late.";
    count(
        "proxy_headers_refused_total",
        help,
        port.proxy_headers_refused,
    );
    let help = "Number of connections that were closed with --balance sni, because their ClientHello was missing, malformed, too long or late.";
    count(
        "client_hellos_refused_total",
        help,
        port.client_hellos_refused,
    );
    let help = "Number of connections closed and requests refused by the rules about clients, by reason: \
                denied (network), connections (too many of one client) or rate (too fast for one client).";
    let reasons = [
        ("denied", port.clients_denied),
        ("connections", port.clients_over_connections),
        ("rate", port.clients_over_rate),
    ];
    let refusals = reasons.map(|(reason, count)| (vec![("reason", reason.to_owned())], count));
    families.counter("client_refusals_total", help, refusals);
    let mut count = |name, help, count| families.counter(name, help, unlabelled(count));
    let help = "Number of client connections that were accepted.";
    count("connections_accepted_total", help, port.accepted);
    let help = "Number of requests that were not sent again, because the retry budget was spent.";
    count("retries_denied_total", help, port.retries_denied);
    let help = "Number of requests that got their connection to a replica from a pool.";
    count("pool_hits_total", help, port.pool_hits);
    let help = "Number of requests for which a connection to a replica was opened.";
    count("pool_misses_total", help, port.pool_misses);
    let help = "Size of the bodies and tunnels that were moved by splice(2), in bytes.";
    count("spliced_bytes_total", help, port.spliced);
    let help = "Number of large pieces that were copied, because no pipe was free or the sockets do not support splice(2).";
    count("splice_fallbacks_total", help, port.splice_fallbacks);
    let help = "Number of lines that were written to the access log.";
    count("access_log_lines_total", help, port.log_written);
    let help = "Number of lines of the access log that were lost, because the writer fell behind or failed.";
    count("access_log_lost_total", help, port.log_lost);
    let help = "Number of requests refused as malformed, by the class of the reply's status.";
    families.counter("refused_requests_total", help, by_class(port.refused));
    let help = "Number of replies by the balancer itself, without those to malformed requests, by status class.";
    families.counter("own_replies_total", help, by_class(port.own_replies));
}
