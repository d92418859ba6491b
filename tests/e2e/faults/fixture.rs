//! A balancer whose replicas can be told to misbehave, on either engine, and the conductor who says
//! how their successors begin.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use crate::support::{
    ContainerImage, Docker, Engine, InstallDir, Ringmaster, TEST_TIMEOUT, binary, exchange,
    own_address,
};

/// The balancer and what its replicas need; the balancer goes first.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) program: Ringmaster,
    conductor: Conductor,
    _shop: Option<InstallDir>,
}

/// A server that tells each starting replica how to behave. Its thread ends with the test process.
#[derive(Debug)]
struct Conductor {
    port: u16,
    fates: Arc<Mutex<VecDeque<&'static str>>>,
}

impl Conductor {
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let fates = Arc::<Mutex<VecDeque<&'static str>>>::default();
        let queue = Arc::clone(&fates);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = stream.set_read_timeout(Some(TEST_TIMEOUT));
                let mut name = String::new();
                // A replica that sends no name gets the default answer.
                let _ = BufReader::new(&stream).read_line(&mut name);
                let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
                // The first replicas are S1, S2 …: they begin well.
                let fate = name.starts_with("s-").then(|| queue.pop_front());
                let _ = writeln!(&stream, "{}", fate.flatten().unwrap_or("well"));
            }
        });
        Self { port, fates }
    }
}

impl Stage {
    /// Starts `serve` with `args` before replicas that can be told to misbehave.
    #[track_caller]
    pub(super) fn start(engine: Engine, args: &[&str]) -> Self {
        let conductor = Conductor::start();
        let (program, shop) = match engine {
            Engine::Process => {
                let moody = binary(ContainerImage::Moody);
                // Of 300 MB, and not the gigabytes that threads set aside.
                let script = format!("ulimit -v 300000\nexec '{}'", moody.display());
                let shop = InstallDir::with_replica(&script);
                let mut command = shop.program();
                let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, conductor.port));
                command.env("MOODY_CONDUCTOR", addr.to_string());
                command.env("MALLOC_ARENA_MAX", "1");
                (Ringmaster::launch(command, args).ready(), Some(shop))
            }
            Engine::Docker => {
                let here = own_address().expect("an address that containers reach");
                let conductor = format!("MOODY_CONDUCTOR={here}:{}", conductor.port);
                let own = ["--replica-env", &conductor, "--data-port-admin", "local"];
                let fleet = Docker::fleet("moody")
                    .expect("an engine")
                    .of(ContainerImage::Moody);
                let program = fleet.balancer(&[&own[..], args].concat());
                (program.in_containers(fleet), None)
            }
        };
        Self {
            program,
            conductor,
            _shop: shop,
        }
    }

    /// So the next successors begin.
    pub(super) fn curse(&self, fates: &[&'static str]) {
        let queue = self.conductor.fates.lock();
        let mut queue = queue.unwrap_or_else(PoisonError::into_inner);
        queue.extend(fates);
    }

    /// Returns `true` once a replica has started for each of the queued faults.
    pub(super) fn is_lifted(&self) -> bool {
        let queue = self.conductor.fates.lock();
        queue.unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Puts the replica of a seat in a mood.
    #[track_caller]
    pub(super) fn mood(&self, seat: usize, mood: &str) {
        let stats: Value = serde_json::from_str(&self.program.command("stats json")).expect("JSON");
        let addr = stats["message"]["seats"][seat - 1]["address"].as_str();
        let addr: SocketAddr = addr.and_then(|addr| addr.parse().ok()).expect("an address");
        let ask = format!("GET /mood/{mood} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(exchange(addr, ask).status(), 200);
    }
}
