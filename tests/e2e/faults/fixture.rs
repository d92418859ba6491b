//! A balancer whose replicas misbehave on request, on either engine, and the server that tells
//! their successors how to start.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use crate::support::{
    ContainerImage, Docker, Engine, InstallDir, Ringmaster, TEST_TIMEOUT, binary, exchange,
    own_address,
};

/// The balancer and the resources of its replicas. The balancer is dropped first.
#[derive(Debug)]
pub(super) struct Fixture {
    pub(super) program: Ringmaster,
    fault_server: FaultServer,
    _install: Option<InstallDir>,
}

/// A server that tells each starting replica how to behave. Its thread ends with the test process.
#[derive(Debug)]
struct FaultServer {
    port: u16,
    faults: Arc<Mutex<VecDeque<&'static str>>>,
}

impl FaultServer {
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let faults = Arc::<Mutex<VecDeque<&'static str>>>::default();
        let queue = Arc::clone(&faults);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = stream.set_read_timeout(Some(TEST_TIMEOUT));
                let mut name = String::new();
                // A replica that sends no name gets the default answer.
                let _ = BufReader::new(&stream).read_line(&mut name);
                let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
                // The first replicas are S1, S2 …: they start without a fault.
                let fault = name.starts_with("s-").then(|| queue.pop_front());
                let _ = writeln!(&stream, "{}", fault.flatten().unwrap_or("none"));
            }
        });
        Self { port, faults }
    }
}

impl Fixture {
    /// Starts `serve` with `args` before replicas with fault modes.
    #[track_caller]
    pub(super) fn start(engine: Engine, args: &[&str]) -> Self {
        let fault_server = FaultServer::start();
        let (program, install) = match engine {
            Engine::Process => {
                let faulty = binary(ContainerImage::Faulty);
                // Of 300 MB, and not the gigabytes that threads set aside.
                let script = format!("ulimit -v 300000\nexec '{}'", faulty.display());
                let install = InstallDir::with_replica(&script);
                let mut command = install.program();
                let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, fault_server.port));
                command.env("FAULTY_SCRIPT_ADDR", addr.to_string());
                command.env("MALLOC_ARENA_MAX", "1");
                (Ringmaster::launch(command, args).ready(), Some(install))
            }
            Engine::Docker => {
                let here = own_address().expect("an address that containers reach");
                let fault_server = format!("FAULTY_SCRIPT_ADDR={here}:{}", fault_server.port);
                let own = ["--replica-env", &fault_server, "--data-port-admin", "local"];
                let fleet = Docker::fleet("faulty")
                    .expect("an engine")
                    .of(ContainerImage::Faulty);
                let program = fleet.balancer(&[&own[..], args].concat());
                (program.in_containers(fleet), None)
            }
        };
        Self {
            program,
            fault_server,
            _install: install,
        }
    }

    /// Queues the faults of the next successors.
    pub(super) fn queue_faults(&self, faults: &[&'static str]) {
        let queue = self.fault_server.faults.lock();
        let mut queue = queue.unwrap_or_else(PoisonError::into_inner);
        queue.extend(faults);
    }

    /// Returns `true` once a replica has started for each of the queued faults.
    pub(super) fn faults_are_used_up(&self) -> bool {
        let queue = self.fault_server.faults.lock();
        queue.unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Sets the fault mode of the replica in a seat.
    #[track_caller]
    pub(super) fn set_mode(&self, seat: usize, mode: &str) {
        let stats: Value = serde_json::from_str(&self.program.command("stats json")).expect("JSON");
        let addr = stats["message"]["seats"][seat - 1]["address"].as_str();
        let addr: SocketAddr = addr.and_then(|addr| addr.parse().ok()).expect("an address");
        let ask = format!("GET /fault/{mode} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(exchange(addr, ask).status(), 200);
    }
}
