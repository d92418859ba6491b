//! Flags that do not go together, and the sentence that refuses each pair.

use super::*;

#[test]
fn flags_that_do_not_go_together_are_refused() {
    for (flags, sentence) in [
        (&["--heartbeat-interval", "0s"][..], "needs --engine fixed"),
        (&["--engine", "fixed"], "needs --backend"),
        (
            &["--engine", "process", "--backend", "a=b:1"],
            "goes with --engine fixed",
        ),
        (&["--backend", "a=b:1", "--backend", "a=c:1"], "given twice"),
        (
            &["--backend", "a=b:1,c=d:1", "--max-replicas", "1"],
            "--backend is given 2 times, more than --max-replicas 1",
        ),
        (&["--backend", "a=b"], "not HOST:PORT"),
        (&["--backend", "a"], "not NAME=ADDR"),
        (&["--backend", "a b=c:1"], "not a legal replica name"),
        (
            &["--backend", "weight=2,a=b:1"],
            "--backend weight=2 belongs to no backend",
        ),
        (
            &["--backend", "a=b:1,weight=2,weight=2"],
            "--backend a=b:1 has two weights",
        ),
        (
            &["--backend", "a=b:1,weight=0"],
            "--backend a=b:1,weight=0: a weight is at least 1; 'drain NAME'",
        ),
        (
            &["--backend", "a=b:1,weight=257"],
            "--backend a=b:1,weight=257: a weight is a whole number from 1 to 256",
        ),
        (&["--backend", "a=b:1,wieght=2"], "not HOST:PORT"),
        (
            &["--ring", "jump", "--backend", "a=b:1,weight=2"],
            "--backend a=b:1,weight=2 does not go with --ring jump",
        ),
        (&["--max-head", "1023"], "not between"),
        (&["--max-head", "1048577"], "not between"),
        (&["--replicas", "257"], "more than --max-replicas"),
        (
            &["--takeover", "--control", "127.0.0.1:0"],
            "needs the port of the one that serves",
        ),
        (&["--standby", "257"], "more than --max-replicas"),
        (
            &["--standby", "1", "--backend", "a=b:1"],
            "goes with --engine process or docker",
        ),
        (&["--head-timeout", "0s"], "longer than 0s"),
        (&["--idle-timeout", "2y"], "longer than 366 days"),
        (&["--pool-idle", "367days"], "longer than 366 days"),
        (&["--head-timeout", "10"], "invalid value"),
        (&["--ring", "square"], "unknown ring"),
        (&["--bound", "1"], "'1' is no bound: it must be above 1"),
        (&["--bound", "-2"], "'-2' is no bound"),
        (&["--bound", "inf"], "no bound"),
        (&["--bound", "NaN"], "no bound"),
        (&["--bound", ""], "no bound"),
        (&["--key", "random,path"], "the last source must be"),
        (&["--heartbeat-path", "x"], "must be tcp, or begin with /"),
        (
            &["--heartbeat-path", "tcp", "--heartbeat-host", "a"],
            "--heartbeat-host does not go with --heartbeat-path tcp",
        ),
        (&["--replace-after", "5"], "invalid value"),
        (&["--replace-after", "367days"], "longer than 366 days"),
        (&["--connect-timeout", "0s"], "longer than 0s"),
        (
            &["--replica-env", "A=B", "--backend", "a=b:1"],
            "--replica-env goes with --engine process or docker",
        ),
        (&["--image", "a"], "--image goes with --engine docker"),
        (
            &["--on-exit", "keep"],
            "--on-exit keep goes with --engine docker",
        ),
        (&["--trust-gateway"], "goes with --engine docker"),
        (&["--service", "web"], "--service goes with --engine swarm"),
        (
            &["--network", "n"],
            "--network goes with --engine docker or swarm",
        ),
        (
            &["--engine", "swarm", "--service", "a/b"],
            "must be a name of letters",
        ),
        (
            &["--engine", "swarm", "--replicas", "3"],
            "--replicas goes with --engine process or docker",
        ),
        (
            &["--engine", "swarm", "--standby", "1"],
            "--standby goes with --engine process or docker",
        ),
        (
            &["--engine", "swarm", "--image", "a"],
            "--image goes with --engine docker",
        ),
        (
            &["--engine", "swarm", "--on-exit", "keep"],
            "--on-exit keep goes with --engine docker",
        ),
        (
            &["--engine", "swarm", "--backend", "a=b:1"],
            "--backend goes with --engine fixed",
        ),
        (
            &["--engine", "swarm", "--heartbeat-interval", "0s"],
            "needs --engine fixed",
        ),
        (
            &["--engine", "swarm", "--takeover"],
            "--takeover does not go with --engine swarm",
        ),
        (
            &["--control-token", "a", "--control-token-file", "/x"],
            "--control-token-file does not go with --control-token",
        ),
        (
            &["--control-token-file", "/nowhere/token"],
            "--control-token-file /nowhere/token: No such file",
        ),
        (
            &["--control-token-file", "/dev/null"],
            "--control-token-file /dev/null: is not a regular file",
        ),
        (
            &["--engine", "docker", "--backend", "a=b:1"],
            "goes with --engine fixed",
        ),
        (
            &["--engine", "docker", "--replica-memory", "5MiB"],
            "less than 6MiB",
        ),
        (&["--replica-env", "SERVER_ID=1"], "set for each replica"),
        (&["--replica-env", "PORT=1"], "set for each replica"),
        (&["--replica-command", ""], "must not be empty"),
        (
            &["--replica-command", "x", "--backend", "a=b:1"],
            "--replica-command goes with --engine process or docker",
        ),
        (
            &["--replica-stop-timeout", "1s", "--backend", "a=b:1"],
            "--replica-stop-timeout goes with --engine process or docker",
        ),
        (
            &["--engine", "docker", "--replica-command", "a 'b"],
            "--replica-command a 'b: a quote or a backslash has no end",
        ),
        (
            &["--replica-user", "1"],
            "--replica-user goes with --engine docker",
        ),
        (
            &["--replica-read-only", "false"],
            "--replica-read-only false goes with --engine docker",
        ),
        (
            &["--engine", "docker", "--replica-volume", "data"],
            "is not SOURCE:TARGET",
        ),
        (&["--replica-env", "A"], "not K=V"),
        (&["--replica-cpus", "0.001"], "at least 0.01"),
        (&["--replica-port", "0"], "invalid value"),
        (&["--fleet", "a b"], "not a legal"),
        (
            &["--balance", "url"],
            "not request, connection, source or sni",
        ),
        (
            &["--balance", "source", "--key", "path"],
            "address is the key",
        ),
        (&["--balance", "sni", "--key", "path"], "name is the key"),
        (&["--balance", "sni", "--key", "source"], "name is the key"),
        (
            &["--retry-on", "503", "--retries", "0"],
            "--retry-on needs --retries above 0",
        ),
        (
            &["--queue", "1"],
            "--queue needs --max-in-flight-per-replica",
        ),
        (
            &["--accept-proxy", "unix"],
            "--accept-proxy unix needs --listen unix:PATH",
        ),
        (
            &["--queue-timeout", "1s"],
            "--queue-timeout needs --max-in-flight-per-replica",
        ),
        (
            &["--balance", "sni", "--retry-on", "503"],
            "--retry-on goes with --balance request: otherwise no reply is read",
        ),
        (
            &["--balance", "connection", "--eject-5xx", "5"],
            "--eject-5xx goes with --balance request",
        ),
        (
            &["--balance", "sni", "--data-port-admin", "local"],
            "--balance sni goes with --data-port-admin off",
        ),
        (
            &[
                "--require-token",
                "--control-token=a",
                "--data-port-admin=any",
            ],
            "--require-token does not go with --data-port-admin any",
        ),
        (
            &["--balance", "source", "--data-port-admin", "any"],
            "goes with --data-port-admin off",
        ),
    ] {
        let refused = check(flags).unwrap_err();
        assert!(refused.contains(sentence), "{flags:?}: {refused}");
    }
}
