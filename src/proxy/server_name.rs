//! The key of a TLS connection (`--balance sni`): the server name in its ClientHello. The hello
//! stays in the inbox, and goes on to the replica as it came.
//!
//! A connection that begins with no ClientHello is closed without an answer, because the client may
//! speak any protocol.

use tokio::time::Instant;

use super::access_record::TerminatedBy;
use super::client::Client;
use super::half_head::{MoreBytes, read_more};
use super::key::source_key;
use super::worker::Worker;
use crate::ring::Key;
use crate::wire::client_hello::ClientHelloReader;

/// Reads the ClientHello whose first bytes have arrived. It must be complete within the time of a
/// request head, and no longer than one. Without a server name, the client's address is the key.
/// `None` if the connection is to close.
pub(super) async fn read_key(worker: &Worker, client: &mut Client) -> Option<Key> {
    match receive(worker, client).await {
        Ok(Some(name)) => {
            let key = Key::from_bytes(name.as_bytes());
            if let Some(record) = &mut client.record {
                record.set_server_name(name);
            }
            Some(key)
        }
        Ok(None) => Some(source_key(client.addr.ip())),
        Err(refusal) => {
            worker.port().client_hellos_refused.add(1);
            if let Some(record) = &mut client.record {
                record.hello_refused(client.inbox.len(), refusal.blame);
            }
            if worker.refusal_warnings.is_due() {
                let (addr, why) = (client.addr, refusal.why);
                tracing::warn!("connection from {addr} closed: {why} (--balance sni)");
            }
            None
        }
    }
}

/// Reason why there is no ClientHello.
struct Refusal {
    why: String,
    blame: TerminatedBy,
}

impl Refusal {
    fn by_us(why: impl ToString) -> Self {
        let (why, blame) = (why.to_string(), TerminatedBy::ByUs);
        Self { why, blame }
    }
}

/// Receives the ClientHello, and returns the server name in it, if there is one.
async fn receive(worker: &Worker, client: &mut Client) -> Result<Option<String>, Refusal> {
    let limits = &worker.settings.limits;
    let mut place = worker.evictable.half_heads.place(Instant::now());
    let mut reader = ClientHelloReader::default();
    loop {
        let read = reader.read(&client.inbox, limits.max_head);
        if let Some(hello) = read.map_err(Refusal::by_us)? {
            return Ok(hello.server_name);
        }
        return Err(match read_more(worker, client, &mut place).await {
            MoreBytes::Some => continue,
            MoreBytes::Ended => Refusal {
                why: "it ended within its ClientHello".to_owned(),
                blame: TerminatedBy::ByClient,
            },
            MoreBytes::Evicted => Refusal::by_us("its ClientHello was incomplete for too long"),
            MoreBytes::Late => Refusal::by_us("its ClientHello did not come in time"),
        });
    }
}
