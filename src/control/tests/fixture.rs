//! A control port for one test, with helpers that send requests, wait and stop it.

use std::io::{Read, Write};
use std::net::{Shutdown as Half, SocketAddr, TcpStream};
use std::sync::mpsc as std_mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::time::timeout;

use super::world::context;
use super::{ControlContext, DEADLINE, Journal, Order};
use crate::control::admission::ControlServer;
use crate::control::start;
use crate::orders::OrderCall;
use crate::sandbox::Sandbox;
use crate::shutdown::{self, Trigger};
use crate::wire::listener::ListeningSockets;
use crate::wire::peer_addr::PeerAddr;

/// A control port under test. Dropping it stops the port and checks that its thread ends.
pub(super) struct Fixture {
    pub(super) addr: SocketAddr,
    pub(super) journal: Journal,
    pub(super) orders: std_mpsc::Receiver<Order>,
    held: std_mpsc::Receiver<OrderCall>,
    pub(super) trigger: Option<Trigger>,
    thread: Option<JoinHandle<()>>,
}

pub(super) fn port() -> Fixture {
    port_with(|_| ())
}

/// Returns a port whose replicas are started by an engine.
pub(super) fn managed_port() -> Fixture {
    port_with(|context| context.sources.engine = "process")
}

pub(super) fn port_with(change: impl FnOnce(&mut ControlContext)) -> Fixture {
    let (mut context, orders, held) = context();
    change(&mut context);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let (trigger, shutdown) = shutdown::channel();
    let sockets = ListeningSockets {
        tcp: Some(listener),
        unix: None,
    };
    Fixture {
        addr,
        journal: context.journal.clone(),
        orders,
        held,
        trigger: Some(trigger),
        thread: Some(start(sockets, context, shutdown, Sandbox::detect()).unwrap()),
    }
}

impl Fixture {
    pub(super) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect_timeout(&self.addr, DEADLINE).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream
    }

    /// Sends `bytes` and reads until the server closes.
    pub(super) fn ask(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes.as_ref()).unwrap();
        rest(stream)
    }

    /// Sends `bytes`, half-closes as `nc -N` does, and reads until the server closes.
    pub(super) fn ask_and_half_close(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes.as_ref()).unwrap();
        stream.shutdown(Half::Write).unwrap();
        rest(stream)
    }

    pub(super) fn order(&self) -> Order {
        self.orders.recv_timeout(DEADLINE).unwrap()
    }

    pub(super) fn held(&self) -> OrderCall {
        self.held.recv_timeout(DEADLINE).unwrap()
    }

    /// Requests shutdown, waits for the thread, and returns how long that took.
    pub(super) fn stop(&mut self) -> Duration {
        let begin = Instant::now();
        drop(self.trigger.take());
        if let Some(thread) = self.thread.take() {
            until("the thread ends", || thread.is_finished().then_some(()));
            thread.join().unwrap();
        }
        begin.elapsed()
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.stop();
        }
    }
}

pub(super) fn rest(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// Repeats `ask` until it returns a value, under the deadline.
pub(super) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begin.elapsed() < DEADLINE, "timed out waiting until {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Sends `bytes` to a port as if they came from `peer`, and reads until the server closes.
pub(super) fn ask_as(peer: &str, token: Option<&str>, bytes: &str) -> String {
    let (mut context, _orders, _held) = context();
    context.access.token = token.map(|token| token.parse().unwrap());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    client.set_read_timeout(Some(DEADLINE)).unwrap();
    client.write_all(bytes.as_bytes()).unwrap();
    let client = thread::spawn(move || rest(client));
    let (_trigger, shutdown) = shutdown::channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        listener.set_nonblocking(true).unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let server = ControlServer::new(context, shutdown);
        let slot = server.serving.acquire().unwrap();
        let peer = format!("{peer}:4711").parse().map(PeerAddr::Tcp).unwrap();
        let served = server.serve_connection(stream, peer, slot);
        timeout(DEADLINE, served).await.unwrap();
    });
    client.join().unwrap()
}
