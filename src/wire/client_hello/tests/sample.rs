//! ClientHellos of TLS, built from the facts of the wire (RFC 8446 §4.1.2), for the unit tests of
//! their parser and for tests of the program.

/// Type of the extension that names the server.
pub(crate) const SERVER_NAME: u16 = 0;

/// A vector whose length has two bytes.
pub(crate) fn vector(bytes: &[u8]) -> Vec<u8> {
    let len = u16::try_from(bytes.len()).expect("a short vector");
    [&len.to_be_bytes(), bytes].concat()
}

/// The extension that names `name`.
pub(crate) fn server_name(name: &[u8]) -> (u16, Vec<u8>) {
    (SERVER_NAME, vector(&[&[0], &vector(name)[..]].concat()))
}

/// The message with these extensions, and a cipher suite.
pub(crate) fn message(extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let all = extensions.iter();
    let all = all.flat_map(|(kind, data)| [&kind.to_be_bytes()[..], &vector(data)].concat());
    message_of(
        &[0x0a, 0x0a, 0x13, 0x01],
        &vector(&all.collect::<Vec<u8>>()),
    )
}

/// The message with these cipher suites, and `rest` after the compression methods.
pub(crate) fn message_of(ciphers: &[u8], rest: &[u8]) -> Vec<u8> {
    message_with([&[7; 32], ciphers, &[0]], rest)
}

/// The message with this session, these cipher suites and these compression methods, and `rest`
/// after them.
pub(crate) fn message_with([session, ciphers, compressions]: [&[u8]; 3], rest: &[u8]) -> Vec<u8> {
    let short_vector = |bytes: &[u8]| vector(bytes)[1..].to_vec();
    let (session, compressions) = (short_vector(session), short_vector(compressions));
    let random = [9; 32];
    let parts = [
        &[3, 3],
        &random[..],
        &session,
        &vector(ciphers),
        &compressions,
        rest,
    ];
    let body = parts.concat();
    let len = u32::try_from(body.len()).expect("a short body");
    [&[1], &len.to_be_bytes()[1..], &body].concat()
}

/// A message as browsers send it: values of GREASE around the extensions (RFC 8701), an encrypted
/// ClientHello, and a key share of X25519MLKEM768, with which it is larger than a packet.
pub(crate) fn message_of_browser(name: &str) -> Vec<u8> {
    let x25519 = [&[0x00, 0x1d], &vector(&[5; 32])[..]].concat();
    let hybrid = [&[0x11, 0xec], &vector(&[6; 1216])[..]].concat();
    let grease = [&[0x3a, 0x3a], &vector(&[0])[..]].concat();
    let alpn = [&[2], &b"h2"[..], &[8], b"http/1.1"].concat();
    let message = message(&[
        (0x2a2a, Vec::new()),
        (0x001b, vec![2, 0, 2]),
        (0x0010, vector(&alpn)),
        (
            0xfe0d,
            [
                &[0, 0, 1, 0, 1, 42][..],
                &vector(&[1; 32]),
                &vector(&[2; 240]),
            ]
            .concat(),
        ),
        server_name(name.as_bytes()),
        (0x0033, vector(&[grease, hybrid, x25519].concat())),
        (0x002b, vec![6, 0x7a, 0x7a, 3, 4, 3, 3]),
        (0x9a9a, vec![0]),
    ]);
    assert!(message.len() > 1_500, "{}", message.len());
    message
}

/// The records of a message, with at most `fragment` bytes of it in each.
pub(crate) fn records(message: &[u8], fragment: usize) -> Vec<u8> {
    let record = |bytes: &[u8]| [&[22, 3, 1], &vector(bytes)[..]].concat();
    message.chunks(fragment).flat_map(record).collect()
}
