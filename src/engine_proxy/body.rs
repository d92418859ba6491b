//! Bodies that are read as a whole, up to a limit.

use std::error::Error;

use axum::body::{Body, Bytes};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

/// The failure to read a body.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    /// More bytes than the limit.
    #[error("a body is too long")]
    TooLong,
    /// An end before the end of its framing.
    #[error("a body is broken: {0}")]
    Broken(Box<dyn Error + Send + Sync>),
}

/// Reads a body of at most `limit` bytes.
///
/// # Errors
/// The body is longer, or broken.
pub(super) async fn read_whole(body: Body, limit: usize) -> Result<Bytes, BodyError> {
    let whole = Limited::new(body, limit).collect().await;
    let whole = whole.map_err(|err| match err.is::<LengthLimitError>() {
        true => BodyError::TooLong,
        false => BodyError::Broken(err),
    })?;
    Ok(whole.to_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_has_at_most_as_many_bytes_as_the_limit() {
        let read = async |len: usize| read_whole(Body::from(vec![0; len]), 5).await;
        assert_eq!(read(5).await.unwrap().len(), 5);
        assert!(matches!(read(6).await, Err(BodyError::TooLong)));
    }
}
