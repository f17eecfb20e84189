//! Echo: what arrives on a connection goes back.

use crate::contract::Stream;

/// Serves one connection with a buffer of `bytes` until the peer closes it.
///
/// An error ends the connection as its end does: the load generator notices
/// missing answers by itself.
pub(crate) async fn connection<S: Stream>(mut stream: S, bytes: usize) {
    let mut buf = vec![0; bytes];
    while let Ok(len) = stream.read(&mut buf).await {
        if len == 0 || stream.write(&mut buf, len).await.is_err() {
            return;
        }
    }
}
