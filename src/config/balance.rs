//! Checks of the flags that depend on the unit of balancing: the key, the admin paths, `Via` and
//! PROXY headers towards replicas.

use super::args::{DataPortAdmin, ServeArgs};
use super::parsers;
use crate::access::{AccessPolicy, LocalTokenRule};
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
            local_token: match self.require_token {
                true => LocalTokenRule::All,
                false => LocalTokenRule::None,
            },
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
        let unread = [
            (self.failures.retry_on.is_some(), "--retry-on"),
            (self.failures.eject_5xx.is_some(), "--eject-5xx"),
        ];
        if balance != BalanceMode::Request
            && let Some(flag) = parsers::first_given(&unread)
        {
            return Err(format!(
                "{flag} goes with --balance request: otherwise no reply is read"
            ));
        }
        if self.failures.retry_on.is_some() && self.failures.retries == 0 {
            return Err("--retry-on needs --retries above 0".to_owned());
        }
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

    /// Checks whether each connection to a replica has one client, and whether the replicas read
    /// its header. `fixed`: the replicas are addresses.
    pub(super) fn check_send_proxy(&self, fixed: bool) -> Result<(), String> {
        let Some(version) = self.send_proxy else {
            return Ok(());
        };
        if self.balance == BalanceMode::Request {
            return Err(format!(
                "--send-proxy {version} goes with --balance connection, source or sni: requests of several clients share a connection to a replica"
            ));
        }
        if !fixed && !self.replicas.are_foreign() {
            return Err(format!(
                "--send-proxy {version} needs servers that read the header (--backend, --image or --replica-command): the bundled replica does not"
            ));
        }
        Ok(())
    }
}
