//! Bytes moved through pipes: known problems of splice(2), each as a test of the whole program,
//! with splice and with `--no-splice`.

use std::io;
use std::net::SocketAddr;

use crate::support::{Backend, Conversation, Ringmaster, Wire};

mod ends;
mod many;
mod paces;

/// A way for bytes to take through the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// `--balance source`.
    Source,
    /// `--balance connection`.
    Connection,
    /// An upgrade.
    Upgrade,
}

/// Every way, through pipes and by copying.
const WAYS: [(Way, &[&str]); 6] = [
    (Way::Source, &[]),
    (Way::Connection, &[]),
    (Way::Upgrade, &[]),
    (Way::Source, &["--no-splice"]),
    (Way::Connection, &["--no-splice"]),
    (Way::Upgrade, &["--no-splice"]),
];

const SWITCH: &str = "HTTP/1.1 101 Go\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n";
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\nX-Request-ID: 1\r\n\r\n";

impl Way {
    /// The program before a backend that runs `script` once the way is open.
    fn open<F>(self, flags: &[&str], script: F) -> (Backend, Ringmaster)
    where
        F: Fn(Conversation) -> io::Result<()> + Send + Sync + 'static,
    {
        let backend = Backend::scripted(move |mut conversation| {
            match self {
                Self::Source => {}
                Self::Connection => drop(conversation.wire.head()?),
                Self::Upgrade => {
                    conversation.wire.head()?;
                    conversation.wire.write(SWITCH)?;
                }
            }
            script(conversation)
        });
        let balance: &[&str] = match self {
            Self::Source => &["--balance", "source"],
            Self::Connection => &["--balance", "connection"],
            Self::Upgrade => &[],
        };
        let program = Ringmaster::before(backend.addr, &[balance, flags].concat());
        (backend, program)
    }

    /// Does its part to open the way from the client's side.
    fn enter(self, client: &mut Wire) {
        match self {
            Self::Source => {}
            Self::Connection => client.write(GET).expect("sending"),
            Self::Upgrade => {
                let upgrade =
                    "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
                client.write(upgrade).expect("sending");
                assert_eq!(client.head().expect("a reply").status(), 101);
            }
        }
    }

    /// A client for which the way is open.
    fn client(self, program: &Ringmaster) -> Wire {
        let mut client = roomy(program.listen);
        self.enter(&mut client);
        client
    }

    /// The same with a minimal receive buffer.
    fn narrow_client(self, program: &Ringmaster) -> Wire {
        let mut client = narrow(program.listen);
        self.enter(&mut client);
        client
    }
}

fn roomy(addr: SocketAddr) -> Wire {
    Wire::new(std::net::TcpStream::connect(addr).expect("a connection"))
}

/// A connection whose receive buffer is as small as possible, with segments of an Ethernet's size.
/// The peer's kernel sizes its send buffer by the segments, and would hold megabytes with
/// loopback's.
pub(crate) fn narrow(addr: SocketAddr) -> Wire {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    let socket = socket.expect("a socket");
    socket.set_recv_buffer_size(4096).expect("SO_RCVBUF");
    socket.set_tcp_mss(1460).expect("TCP_MAXSEG");
    socket.connect(&addr.into()).expect("a connection");
    Wire::new(socket.into())
}
