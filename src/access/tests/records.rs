//! Records of a check: orders for the watch for a web server in front, and wrong tokens.

use super::*;

#[test]
fn only_an_allowed_order_without_a_token_is_recorded() {
    let token = Some(&b"Bearer s3cret"[..]);
    for (addr, kind, authorization, is_recorded) in [
        (LOCAL, AccessKind::Write, None, true),
        (LOCAL, AccessKind::Read, None, false),
        (REMOTE, AccessKind::Write, None, false),
        (LOCAL, AccessKind::Write, token, false),
        (REMOTE, AccessKind::Write, token, false),
    ] {
        let access = with_token();
        let mut caller = caller(addr);
        caller.authorization = authorization;
        let _ = access.check(&caller, "/add", kind);
        let has_order = access.reverse_proxy.has_order();
        assert_eq!(has_order, is_recorded, "{addr} {kind:?} {authorization:?}");
    }
}

#[test]
fn wrong_tokens_alone_are_counted_for_the_log() {
    let access = with_token();
    for (shown, count) in [("s3cret", 0), ("guess", 1), ("s3cret", 1), ("other", 2)] {
        let authorization = format!("Bearer {shown}");
        let mut caller = caller(REMOTE);
        caller.authorization = Some(authorization.as_bytes());
        assert_eq!(change(&access, &caller).is_ok(), shown == "s3cret");
        assert_eq!(access.wrong_token_log.count(), count, "{shown}");
    }
}
