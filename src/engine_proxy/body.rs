//! Bodies that are read as a whole, up to a limit.

use axum::body::{Body, Bytes};
use bytes::BytesMut;
use futures_util::StreamExt as _;

/// The failure to read a body.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    /// More bytes than the limit.
    #[error("a body is too long")]
    TooLong,
    /// An end before the end of its framing.
    #[error("a body is broken: {0}")]
    Broken(#[from] axum::Error),
}

/// Reads a body of at most `limit` bytes.
///
/// # Errors
/// The body is longer, or broken.
pub(super) async fn read_whole(body: Body, limit: usize) -> Result<Bytes, BodyError> {
    let mut chunks = body.into_data_stream();
    let mut whole = BytesMut::new();
    while let Some(chunk) = chunks.next().await {
        whole.extend_from_slice(&chunk?);
        if whole.len() > limit {
            return Err(BodyError::TooLong);
        }
    }
    Ok(whole.freeze())
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
