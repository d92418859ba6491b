//! The state file: what is read back, what is refused, and what a failed write leaves.

use super::*;

fn folder() -> PathBuf {
    use std::sync::atomic::{AtomicU32, Ordering};
    static MADE: AtomicU32 = AtomicU32::new(0);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    let name = format!("ringmaster-state-{}-{number}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir(&folder).unwrap();
    folder
}

fn backend(seat: u32, name: &str, addr: &str) -> BackendSeat {
    BackendSeat {
        seat: Seat(seat),
        name: name.parse().unwrap(),
        weight: Weight::ONE,
        addr: addr.parse().unwrap(),
    }
}

#[test]
fn a_list_is_read_back_and_replaced_as_a_whole() {
    let folder = folder();
    let path = folder.join("state.json");
    assert_eq!(read_state_file(&path), Ok(None));
    let all = [backend(7, "a", "web-0.web:80"), backend(1, "b", "[::1]:80")];
    for list in [&all[..], &all[1..], &[]] {
        write_state_file(&path, list).unwrap();
        assert_eq!(read_state_file(&path), Ok(Some(list.to_vec())));
    }
    write_state_file(&path, &all).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(
        text,
        "{\"backends\": [\n{\"address\":\"web-0.web:80\",\"name\":\"a\",\"seat\":7},\n\
         {\"address\":\"[::1]:80\",\"name\":\"b\",\"seat\":1}\n]}\n"
    );
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_weight_is_kept_and_checked() {
    let folder = folder();
    let path = folder.join("state.json");
    let heavy = BackendSeat {
        weight: Weight::try_from(256).unwrap(),
        ..backend(3, "a", "h:80")
    };
    write_state_file(&path, std::slice::from_ref(&heavy)).unwrap();
    assert_eq!(read_state_file(&path), Ok(Some(vec![heavy])));
    for (weight, sentence) in [
        (
            "0",
            "a weight is at least 1; 'drain NAME' keeps new requests from a replica at line 2",
        ),
        ("257", "a weight is a whole number from 1 to 256 at line 2"),
        ("1.5", "expected u64 at line 2"),
    ] {
        let line = format!(r#"{{"seat":3,"name":"a","address":"h:80","weight":{weight}}}"#);
        std::fs::write(&path, format!("{{\"backends\": [\n{line}\n]}}\n")).unwrap();
        let refused = read_state_file(&path).unwrap_err();
        assert!(refused.contains(sentence), "{refused}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_malformed_file_is_refused_with_its_line() {
    let folder = folder();
    let path = folder.join("state.json");
    let line = |fields: &str| format!("{{\"backends\": [\n{{{fields}}}\n]}}");
    let good = r#""seat":1,"name":"a","address":"h:80""#;
    let twice = |fields: &str| line(&format!("{good}}},\n{{{fields}"));
    for (text, sentence) in [
        (
            String::new(),
            "EOF while parsing a value at line 1 column 0",
        ),
        (
            "{\"backends\": [\n".to_owned(),
            "EOF while parsing a list at line 2 column 0",
        ),
        ("[]".to_owned(), " at line 1 column "),
        ("{\"other\": 1}".to_owned(), "unknown field `other`"),
        (
            line(r#""seat":0,"name":"a","address":"h:80""#),
            " at line 2 column 9",
        ),
        (
            line(r#""seat":1,"name":"-","address":"h:80""#),
            "'-' is not a legal replica name",
        ),
        (
            line(r#""seat":1,"name":"a","address":"h""#),
            "the address is not HOST:PORT or unix:PATH at line 2 column 35",
        ),
        (
            line(r#""seat":1,"name":"a""#),
            "missing field `address` at line 2",
        ),
        (line(&format!("{good},\"x\":1")), "unknown field `x`"),
        (
            twice(r#""seat":1,"name":"b","address":"h:80""#),
            "seat 1 is there twice at line 3",
        ),
        (
            twice(r#""seat":2,"name":"a","address":"h:80""#),
            "the name a is there twice at line 3",
        ),
        (format!("{} x", line(good)), "trailing characters at line 3"),
    ] {
        std::fs::write(&path, &text).unwrap();
        let refusal = read_state_file(&path).unwrap_err();
        assert!(
            refusal.starts_with(&path.display().to_string()),
            "{refusal}"
        );
        assert!(refusal.contains(sentence), "{text}: {refusal}");
    }
    std::fs::write(&path, b"{\"backends\": [\n\xff]}").unwrap();
    assert!(read_state_file(&path).unwrap_err().contains("at line 2"));
    assert!(
        read_state_file(&folder)
            .unwrap_err()
            .contains("is not a regular file")
    );
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_size_of_a_file_has_a_limit() {
    let folder = folder();
    let path = folder.join("state.json");
    let text = |size: usize| {
        let mut text = "{\"backends\": []}".to_owned();
        text += &" ".repeat(size - text.len());
        text
    };
    let max = usize::try_from(MAX_SIZE).unwrap();
    std::fs::write(&path, text(max)).unwrap();
    assert_eq!(read_state_file(&path), Ok(Some(Vec::new())));
    std::fs::write(&path, text(max + 1)).unwrap();
    let refusal = read_state_file(&path).unwrap_err();
    assert!(
        refusal.ends_with("is larger than 1048576 bytes"),
        "{refusal}"
    );
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_write_that_fails_leaves_the_old_file_and_no_other() {
    let folder = folder();
    let path = folder.join("state.json");
    // A folder of this name cannot be replaced by a file.
    std::fs::create_dir(&path).unwrap();
    let refusal = write_state_file(&path, &[backend(1, "a", "h:80")]).unwrap_err();
    assert!(
        refusal.starts_with(&path.display().to_string()),
        "{refusal}"
    );
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    let missing = folder.join("no/state.json");
    assert!(
        write_state_file(&missing, &[])
            .unwrap_err()
            .contains("No such file")
    );
    std::fs::remove_dir_all(folder).unwrap();
}
