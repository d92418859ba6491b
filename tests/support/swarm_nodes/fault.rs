//! Faults of nodes and replicas.

use super::{ALL, Nodes, REPLICAS, SWARM_TIMEOUT, script};
use crate::support::eventually;

impl Nodes {
    /// Ends the engine, the containers and the network of a node at once.
    #[track_caller]
    pub(crate) fn crash(&self, node: usize) {
        self.run("crash", node);
    }

    /// Starts a node that crashed.
    #[track_caller]
    pub(crate) fn boot(&self, node: usize) {
        self.run("boot", node);
    }

    /// Disconnects a node, which keeps running.
    #[track_caller]
    pub(crate) fn cut(&self, node: usize) {
        self.run("cut", node);
    }

    /// Connects a node that was disconnected.
    #[track_caller]
    pub(crate) fn mend(&self, node: usize) {
        self.run("mend", node);
    }

    #[track_caller]
    fn run(&self, verb: &str, node: usize) {
        let status = script(verb, &self.folder).arg(node.to_string()).status();
        assert!(status.expect("the script").success(), "{verb} n{node}");
    }

    /// The node that leads the managers.
    #[track_caller]
    pub(crate) fn leader(&self) -> usize {
        let mut found = None;
        eventually(SWARM_TIMEOUT, "a leader", || {
            let leads = |node: &usize| self.manager_status(1, *node) == "Leader";
            found = ALL.into_iter().find(leads);
            found.is_some()
        });
        found.unwrap_or_default()
    }

    fn manager_status(&self, asked: usize, node: usize) -> String {
        let list = ["node", "ls", "--format", "{{.Hostname}} {{.ManagerStatus}}"];
        let list = self.try_docker(asked, &list).unwrap_or_default();
        let name = format!("n{node} ");
        let mut lines = list.lines();
        let status = lines.find_map(|line| line.strip_prefix(&name));
        status.unwrap_or_default().to_owned()
    }

    /// Waits until all nodes are ready and managers, as `asked` sees them.
    #[track_caller]
    pub(crate) fn expect_all_nodes(&self, asked: usize) {
        let format = "{{.Status}} {{.Availability}} {{.ManagerStatus}}";
        let list = ["node", "ls", "--format", format];
        let is_well =
            |line: &str| ["Ready Active Leader", "Ready Active Reachable"].contains(&line);
        eventually(SWARM_TIMEOUT, "three managers", || {
            let list = self.try_docker(asked, &list).unwrap_or_default();
            list.lines().filter(|line| is_well(line)).count() == ALL.len()
        });
    }

    /// Gives each node a replica. Swarm moves no task to a node that returns, but takes tasks from
    /// the node with the most, and gives new ones to the node with the fewest.
    #[track_caller]
    pub(crate) fn spread(&self) {
        let is_spread = || ALL.iter().all(|node| self.replicas(*node).len() == 1);
        if !is_spread() {
            for replicas in [1, REPLICAS] {
                let scaled = format!("app_web={replicas}");
                self.docker(1, &["service", "scale", "--detach", &scaled]);
                self.expect_one_ring(&ALL, replicas);
            }
            eventually(SWARM_TIMEOUT, "a replica on each node", is_spread);
        }
    }

    /// The process of a container on a node.
    #[track_caller]
    pub(crate) fn process(&self, node: usize, container: &str) -> u32 {
        let inspect = ["inspect", "--format", "{{.State.Pid}}", container];
        self.docker(node, &inspect).parse().expect("a process")
    }

    /// Returns what the balancer of a node has logged.
    #[track_caller]
    pub(crate) fn log(&self, node: usize) -> String {
        let container = self.balancer_container(node).expect("a balancer");
        let output = self.client(node, &["logs", &container]).output();
        String::from_utf8_lossy(&output.expect("docker").stderr).into_owned()
    }
}
