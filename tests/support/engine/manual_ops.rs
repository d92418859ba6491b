//! Operations on containers by hand, past the balancer.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;

use super::super::process::signal;
use super::super::{Signal, TEST_TIMEOUT, eventually};
use super::{Container, Host};

impl Host {
    /// Starts a foreign container: it is ringmaster's only as far as its labels claim.
    pub(crate) fn foreign(self: &Arc<Self>, name: &str, labels: &[(&str, &str)]) -> Container {
        let labels = labels.iter().map(|(k, v)| ((*k).into(), (*v).into()));
        let (id, _) = self.make(name, labels.collect(), vec!["SERVER_ID=99".into()]);
        self.run(&id);
        self.container(name)
    }

    /// Changes the reported state of a container; its process stays as it is.
    pub(crate) fn say_state(&self, name: &str, state: &str) {
        let mut engine = self.state();
        let found = engine.containers.iter_mut().find(|one| one.name == name);
        found.expect("a container").state = state.to_owned();
    }

    /// Changes a label of a container.
    pub(crate) fn relabel(&self, name: &str, label: &str, value: &str) {
        let mut state = self.state();
        let found = state.containers.iter_mut().find(|one| one.name == name);
        let labels = &mut found.expect("a container").labels;
        labels.insert(label.to_owned(), value.to_owned());
    }

    /// Removes a container.
    #[track_caller]
    pub(crate) fn lose(&self, name: &str) {
        self.remove(&self.container(name));
    }

    /// Renames a container.
    pub(crate) fn rename(&self, name: &str, other: &str) {
        let mut state = self.state();
        let found = state.containers.iter_mut().find(|one| one.name == name);
        found.expect("a container").name = other.to_owned();
    }

    /// Restarts a container, which gets another address.
    #[track_caller]
    pub(crate) fn restart(self: &Arc<Self>, name: &str) {
        let id = self.container(name).id;
        self.end(&self.container(name), true);
        {
            let mut state = self.state();
            state.made += 1;
            let last = state.made;
            let found = state.containers.iter_mut().find(|one| one.id == id);
            let one = found.expect("a container");
            let [a, b, c, _] = one.ip.octets();
            one.ip = Ipv4Addr::new(a, b, c, last);
        }
        self.run(&id);
    }

    /// The process of a container ends unnoticed, and another replica has its address when this
    /// returns.
    #[track_caller]
    pub(crate) fn usurp(self: &Arc<Self>, name: &str, env: &[&str]) {
        let one = self.container(name);
        let change = |usurped: bool, env: Option<&[&str]>| {
            let mut state = self.state();
            let found = state.containers.iter_mut().find(|other| other.id == one.id);
            let found = found.expect("a container");
            found.usurped = usurped;
            if let Some(env) = env {
                found.env = env.iter().map(|pair| (*pair).to_owned()).collect();
            }
        };
        change(true, None);
        signal(one.pid.expect("it runs"), Signal::KILL);
        self.wait_for_end(&one.id);
        change(true, Some(env));
        self.run(&one.id);
        change(false, None);
        let addr = SocketAddr::from((one.ip, self.port));
        eventually(TEST_TIMEOUT, "a listener at its address", || {
            TcpStream::connect(addr).is_ok()
        });
    }
}
