//! Checks of the flags that depend on the unit of balancing: the key, the admin paths
//! and `Via`.

use super::args::{DataPortAdmin, ServeArgs};
use super::parsers;
use crate::access::AccessPolicy;
use crate::proxy::BalanceMode;

impl ServeArgs {
    /// Access policy of the admin paths on the data port; `None`: the paths belong to the replicas.
    pub(super) fn data_port_access(
        &self,
        fixed: bool,
        access: &AccessPolicy,
    ) -> Option<AccessPolicy> {
        if !self.balance.reads_requests() {
            return None;
        }
        let others = fixed || self.replicas.are_foreign();
        let door = self.data_port_admin.unwrap_or(if others {
            DataPortAdmin::Off
        } else {
            DataPortAdmin::Local
        });
        (door != DataPortAdmin::Off).then(|| AccessPolicy {
            anyone: door == DataPortAdmin::Any,
            ..access.clone()
        })
    }

    /// Checks the flags that depend on requests: with `--balance source` or `sni` no request
    /// is parsed, so they are refused.
    pub(super) fn check_balance(&self) -> Result<(), String> {
        if self.via.is_some() && self.balance != BalanceMode::Request {
            return Err(
                "--via goes with --balance request: otherwise no head is written here".to_owned(),
            );
        }
        let balance = self.balance;
        if balance.reads_requests() {
            return Ok(());
        }
        if !matches!(self.data_port_admin, None | Some(DataPortAdmin::Off)) {
            return Err(format!(
                "--balance {balance} goes with --data-port-admin off: no path is read"
            ));
        }
        let key = self.key.to_string();
        let source = match balance {
            BalanceMode::Sni => "the server name",
            _ if key == "source" => return Ok(()),
            _ => "the client's address",
        };
        if key == parsers::DEFAULT_KEY {
            return Ok(());
        }
        Err(format!(
            "--key {key} does not go with --balance {balance}: {source} is the key"
        ))
    }
}
