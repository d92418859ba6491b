//! Keys: integers, hashes of other texts, and their printed form.

use xxhash_rust::xxh3::xxh3_64;

use super::Key;

#[test]
fn keys_of_up_to_19_digits_are_integers() {
    assert_eq!(Key::from_bytes(b"132574"), Key(132_574));
    assert_eq!(Key::from_bytes(b"007"), Key(7));
    let longest = 9_999_999_999_999_999_999;
    assert_eq!(Key::from_bytes(b"9999999999999999999"), Key(longest));
}

#[test]
fn other_keys_are_hashed() {
    for text in ["", "+5", "-1", "12a", "00000000000000000000"] {
        assert_eq!(
            Key::from_bytes(text.as_bytes()),
            Key(xxh3_64(text.as_bytes()))
        );
    }
}

#[test]
fn a_printed_key_can_be_parsed() {
    for n in [0, 132_574, 10_u64.pow(19) - 1, 10_u64.pow(19), u64::MAX] {
        let printed = Key(n).to_string();
        assert_eq!(Key::parse(printed.as_bytes()), Key(n), "{printed}");
    }
    assert_eq!(Key(u64::MAX).to_string(), "xxh3:ffffffffffffffff");
    for other in [
        "a-1",
        "xxh3:",
        "xxh3:+fffffffffffffff",
        "12345678901234567890",
    ] {
        assert_eq!(
            Key::parse(other.as_bytes()),
            Key::from_bytes(other.as_bytes()),
            "{other}"
        );
    }
}
