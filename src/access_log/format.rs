//! Line of the access log, as text, as JSON or in the combined log format.
//!
//! Pure. Text of a client stays within its field and its line: only printable ASCII is written as
//! it is, because some characters are invisible or change the direction of a line. In text, other
//! bytes, quotes and backslashes are written as `\x1b`; in JSON, by JSON's own escapes.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::config::AccessLogFormat;
use crate::proxy::{AccessRecord, RouteReason, TerminatedBy};

/// Status of a request that got no reply, in the combined format.
const NO_REPLY: u16 = 499;

/// Appends the line of `record` with its line feed.
pub(super) fn write(record: &AccessRecord, format: AccessLogFormat, out: &mut String) {
    match format {
        AccessLogFormat::Text => text(record, out),
        AccessLogFormat::Json => json_line(record, out),
        AccessLogFormat::Combined => combined(record, out),
    }
    out.push('\n');
}

fn text(record: &AccessRecord, out: &mut String) {
    let time = humantime::format_rfc3339_millis(record.time);
    let seat = record.seat.map(|(seat, _)| seat.0);
    // Writing to a string cannot fail.
    let _ = write!(out, "{time} client={} method=", client(record));
    match record.method.as_str() {
        "" => out.push('-'),
        method => escape(method.as_bytes(), out),
    }
    out.push_str(" path=\"");
    escape(&record.path, out);
    let _ = write!(
        out,
        "\" key={} seat={} way={} status={} from_client={} to_client={} first_byte_ms={} total_ms={:.3} \
         retries={}",
        OrDash(record.key),
        OrDash(seat),
        OrDash(record.seat.map(|(_, how)| reason_word(how))),
        OrDash(status(record)),
        record.from_client,
        record.to_client,
        OrDash(record.first_byte.map(|time| format!("{:.3}", millis(time)))),
        millis(record.total),
        record.retries,
    );
    let fields = &record.fields;
    let query = fields.query.as_deref();
    for (name, value) in [
        ("id", Some(&fields.id[..])),
        ("host", Some(&fields.host)),
        ("query", query),
        ("user_agent", Some(&fields.user_agent)),
        ("traceparent", Some(&fields.traceparent)),
        ("unique_id", fields.unique_id.as_deref()),
    ] {
        if let Some(value) = value {
            let _ = write!(out, " {name}=\"");
            escape(value, out);
            out.push('"');
        }
    }
    let replica = OrDash(record.replica.as_ref());
    let _ = write!(out, " replica={replica} ended={}", ended_word(record.ended));
}

/// Appends a line as Apache's mod_log_config and nginx write it. A request without a reply has the
/// status 499, as in nginx, and the size is that of the reply with its head.
fn combined(record: &AccessRecord, out: &mut String) {
    let _ = write!(
        out,
        "{} - - [{}] \"",
        host(record),
        CommonLogTime(record.time)
    );
    let fields = &record.fields;
    match record.method.as_str() {
        // The first line could not be read.
        "" => out.push('-'),
        method => {
            escape(method.as_bytes(), out);
            out.push(' ');
            escape(&record.path, out);
            if let Some(query) = &fields.query {
                out.push('?');
                escape(query, out);
            }
            let version = match fields.version {
                "" => "HTTP/1.1",
                version => version,
            };
            let _ = write!(out, " {version}");
        }
    }
    let status = status(record).unwrap_or(NO_REPLY);
    let _ = write!(out, "\" {status} {}", record.to_client);
    for value in [&fields.referer, &fields.user_agent] {
        out.push_str(" \"");
        match &value[..] {
            b"" => out.push('-'),
            value => escape(value, out),
        }
        out.push('"');
    }
}

/// A time as in the common log format: `29/Nov/2026:06:03:55 +0000`.
struct CommonLogTime(SystemTime);

impl fmt::Display for CommonLogTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MONTHS: [&str; 12] = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ];
        // 2026-11-29T06:03:55Z
        let text = humantime::format_rfc3339_seconds(self.0).to_string();
        let mut parts = text.split(['-', 'T', 'Z']);
        let mut part = || parts.next().unwrap_or_default();
        let (year, month, day, time) = (part(), part(), part(), part());
        let at = month.parse::<usize>().unwrap_or_default().saturating_sub(1);
        let month = MONTHS.get(at).unwrap_or(&MONTHS[0]);
        write!(f, "{day}/{month}/{year}:{time} +0000")
    }
}

fn json_line(record: &AccessRecord, out: &mut String) {
    let mut line = json!({
        "time": humantime::format_rfc3339_millis(record.time).to_string(),
        "client": client(record),
        "method": (!record.method.is_empty()).then_some(&record.method),
        "path": String::from_utf8_lossy(&record.path),
        "key": record.key.map(|key| key.to_string()),
        "seat": record.seat.map(|(seat, _)| seat.0),
        "way": record.seat.map(|(_, how)| reason_word(how)),
        "status": status(record),
        "from_client": record.from_client,
        "to_client": record.to_client,
        "first_byte_ms": record.first_byte.map(millis),
        "total_ms": millis(record.total),
        "retries": record.retries,
        "ended": ended_word(record.ended),
        "id": text_or_null(&record.fields.id),
        "host": text_or_null(&record.fields.host),
        "user_agent": text_or_null(&record.fields.user_agent),
        "traceparent": text_or_null(&record.fields.traceparent),
        "replica": record.replica.as_ref().map(AsRef::as_ref),
    });
    if let Some(query) = &record.fields.query {
        line["query"] = String::from_utf8_lossy(query).into();
    }
    if let Some(id) = &record.fields.unique_id {
        // Escaped as in text, because each byte of it counts.
        let mut escaped = String::new();
        escape(id, &mut escaped);
        line["unique_id"] = escaped.into();
    }
    for c in line.to_string().chars() {
        match c {
            ' '..='~' => out.push(c),
            // Non-ASCII characters occur only within JSON strings.
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
}

fn text_or_null(value: &[u8]) -> Option<Cow<'_, str>> {
    (!value.is_empty()).then(|| String::from_utf8_lossy(value))
}

/// A value, or a dash for none.
struct OrDash<T>(Option<T>);

impl<T: fmt::Display> fmt::Display for OrDash<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("-"),
        }
    }
}

fn escape(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        match byte {
            b'"' | b'\\' => {
                let _ = write!(out, "\\x{byte:02x}");
            }
            0x20..0x7f => out.push(char::from(*byte)),
            _ => {
                let _ = write!(out, "\\x{byte:02x}");
            }
        }
    }
}

fn client(record: &AccessRecord) -> String {
    record.client.to_canonical().to_string()
}

/// Returns the client without its port; `unix` for a client of a Unix socket.
fn host(record: &AccessRecord) -> String {
    let ip = record.client.ip();
    ip.map_or_else(|| record.client.to_string(), |ip| ip.to_string())
}

fn status(record: &AccessRecord) -> Option<u16> {
    (record.status > 0).then_some(record.status)
}

/// Milliseconds with three decimals.
fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

fn reason_word(how: RouteReason) -> &'static str {
    match how {
        RouteReason::Home => "home",
        RouteReason::Spilled => "spilled",
        RouteReason::Diverted => "diverted",
        RouteReason::FailedOver => "failed_over",
        RouteReason::Private => "private",
    }
}

fn ended_word(ended: TerminatedBy) -> &'static str {
    match ended {
        TerminatedBy::Whole => "whole",
        TerminatedBy::ByClient => "client",
        TerminatedBy::ByReplica => "replica",
        TerminatedBy::ByUs => "us",
        TerminatedBy::ByBudget => "budget",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::RequestFields;
    use crate::ring::{Key, Seat};
    use crate::wire::peer_addr::PeerAddr;
    use proptest::prelude::*;
    use serde_json::Value;
    use std::time::SystemTime;

    fn record() -> AccessRecord {
        AccessRecord {
            time: SystemTime::UNIX_EPOCH + Duration::from_millis(1_500),
            client: PeerAddr::Tcp("[::ffff:10.0.0.7]:4711".parse().unwrap()),
            method: "GET".to_owned(),
            path: b"/home".to_vec(),
            key: Some(Key(132_574)),
            fields: RequestFields {
                version: "HTTP/1.1",
                id: b"0132574".to_vec(),
                host: b"a.example".to_vec(),
                query: None,
                referer: Vec::new(),
                user_agent: b"curl/8".to_vec(),
                traceparent: b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_vec(),
                unique_id: None,
            },
            seat: Some((Seat(2), RouteReason::FailedOver)),
            replica: Some("S2".parse().unwrap()),
            status: 200,
            from_client: 80,
            to_client: 170,
            first_byte: Some(Duration::from_micros(412)),
            total: Duration::from_nanos(530_400),
            retries: 1,
            ended: TerminatedBy::Whole,
        }
    }

    fn unread() -> AccessRecord {
        AccessRecord {
            method: String::new(),
            path: Vec::new(),
            key: None,
            fields: RequestFields::default(),
            seat: None,
            replica: None,
            status: 0,
            first_byte: None,
            ended: TerminatedBy::ByClient,
            ..record()
        }
    }

    fn line(record: &AccessRecord, format: AccessLogFormat) -> String {
        let mut out = String::new();
        write(record, format, &mut out);
        let line = out.strip_suffix('\n').unwrap();
        assert!(!line.contains(char::is_control), "{line:?}");
        line.to_owned()
    }

    #[test]
    fn text_is_read_by_eyes() {
        assert_eq!(
            line(&record(), AccessLogFormat::Text),
            "1970-01-01T00:00:01.500Z client=10.0.0.7:4711 method=GET path=\"/home\" key=132574 seat=2 \
             way=failed_over status=200 from_client=80 to_client=170 first_byte_ms=0.412 total_ms=0.530 \
             retries=1 id=\"0132574\" host=\"a.example\" user_agent=\"curl/8\" \
             traceparent=\"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\" replica=S2 ended=whole"
        );
        assert_eq!(
            line(&unread(), AccessLogFormat::Text),
            "1970-01-01T00:00:01.500Z client=10.0.0.7:4711 method=- path=\"\" key=- seat=- way=- status=- \
             from_client=80 to_client=170 first_byte_ms=- total_ms=0.530 retries=1 \
             id=\"\" host=\"\" user_agent=\"\" traceparent=\"\" replica=- ended=client"
        );
    }

    #[test]
    fn each_byte_of_an_id_of_the_connection_is_in_the_line() {
        let mut with_id = record();
        with_id.fields.unique_id = Some(b"7\xff\xfe\"\n".to_vec());
        let id = r"7\xff\xfe\x22\x0a";
        let text = line(&with_id, AccessLogFormat::Text);
        assert!(
            text.contains(&format!(" unique_id=\"{id}\" replica=S2")),
            "{text}"
        );
        let json: Value = serde_json::from_str(&line(&with_id, AccessLogFormat::Json)).unwrap();
        assert_eq!(json["unique_id"], id);
    }

    #[test]
    fn json_has_the_same_fields_under_the_same_names() {
        let told: Value = serde_json::from_str(&line(&record(), AccessLogFormat::Json)).unwrap();
        let expected = json!({
            "time": "1970-01-01T00:00:01.500Z", "client": "10.0.0.7:4711", "method": "GET", "path": "/home",
            "key": "132574", "seat": 2, "way": "failed_over", "status": 200, "from_client": 80,
            "to_client": 170, "first_byte_ms": 0.412, "total_ms": 0.53, "retries": 1, "ended": "whole",
            "id": "0132574", "host": "a.example", "user_agent": "curl/8", "replica": "S2",
            "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        });
        assert_eq!(told, expected);
        let text = line(&record(), AccessLogFormat::Text);
        for name in expected
            .as_object()
            .unwrap()
            .keys()
            .filter(|name| *name != "time")
        {
            assert!(text.contains(&format!(" {name}=")), "{name}");
        }
        let told: Value = serde_json::from_str(&line(&unread(), AccessLogFormat::Json)).unwrap();
        let absent = [
            "method",
            "key",
            "seat",
            "way",
            "status",
            "first_byte_ms",
            "id",
            "host",
            "replica",
        ];
        assert!(absent.iter().all(|name| told[name].is_null()), "{told}");
    }

    #[test]
    fn the_query_is_there_if_it_was_asked_for() {
        let mut record = record();
        record.fields.query = Some(b"a=\"1\"".to_vec());
        let text = line(&record, AccessLogFormat::Text);
        assert!(
            text.contains(r#" query="a=\x221\x22" user_agent="#),
            "{text}"
        );
        let json: Value = serde_json::from_str(&line(&record, AccessLogFormat::Json)).unwrap();
        assert_eq!(json["query"], "a=\"1\"");
    }

    #[test]
    fn the_combined_format_is_that_of_web_servers() {
        let mut record = record();
        record.fields.referer = b"http://a/\"x".to_vec();
        record.fields.query = Some(b"id=5".to_vec());
        assert_eq!(
            line(&record, AccessLogFormat::Combined),
            "10.0.0.7 - - [01/Jan/1970:00:00:01 +0000] \"GET /home?id=5 HTTP/1.1\" 200 170 \
             \"http://a/\\x22x\" \"curl/8\""
        );
        assert_eq!(
            line(&unread(), AccessLogFormat::Combined),
            "10.0.0.7 - - [01/Jan/1970:00:00:01 +0000] \"-\" 499 170 \"-\" \"-\""
        );
        record.time += Duration::from_secs(1_795_932_235);
        let text = line(&record, AccessLogFormat::Combined);
        assert!(text.contains("[29/Nov/2026:06:03:56 +0000]"), "{text}");
    }

    #[test]
    fn text_of_a_client_stays_in_its_field() {
        let hostile = AccessRecord {
            path: b"/\" status=200 \\ \r\n\x1b[2J\x7f\xc2\x9b\xff".to_vec(),
            ..record()
        };
        let text = line(&hostile, AccessLogFormat::Text);
        let path = r#" path="/\x22 status=200 \x5c \x0d\x0a\x1b[2J\x7f\xc2\x9b\xff" key="#;
        assert!(text.contains(path), "{text}");
        let json = line(&hostile, AccessLogFormat::Json);
        let told: Value = serde_json::from_str(&json).unwrap();
        let path = "/\" status=200 \\ \r\n\u{1b}[2J\u{7f}\u{9b}\u{fffd}";
        assert_eq!(
            (told["path"].as_str(), &told["status"]),
            (Some(path), &json!(200))
        );
    }

    #[test]
    fn invisible_and_direction_characters_are_written_as_numbers() {
        let path = "/\u{202e}gpj.exe\u{2066}\u{200b}\u{200e}\u{feff}\u{2028}\u{ad}\u{e0041}\u{e9}";
        let hostile = AccessRecord {
            path: path.as_bytes().to_vec(),
            ..record()
        };
        let json = line(&hostile, AccessLogFormat::Json);
        let written =
            r#""path":"/\u202egpj.exe\u2066\u200b\u200e\ufeff\u2028\u00ad\udb40\udc41\u00e9","#;
        assert!(json.contains(written), "{json}");
        let told: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(told["path"].as_str(), Some(path));
        let text = line(&hostile, AccessLogFormat::Text);
        assert!(
            text.contains(r#" path="/\xe2\x80\xaegpj.exe\xe2\x81\xa6"#),
            "{text}"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_make_one_line(path in prop::collection::vec(any::<u8>(), 0..64)) {
            let record = AccessRecord { path, ..record() };
            let text = line(&record, AccessLogFormat::Text);
            prop_assert!(text.is_ascii());
            prop_assert_eq!(text.matches('"').count(), 10);
            let json = line(&record, AccessLogFormat::Json);
            prop_assert!(json.is_ascii());
            let told: Value = serde_json::from_str(&json).unwrap();
            let path = String::from_utf8_lossy(&record.path);
            prop_assert_eq!(told["path"].as_str(), Some(&*path));
        }
    }
}
