//! The halves of streams.

use futures::FutureExt;
use tapio::io::{AsyncReadExt, AsyncWriteExt};
use tapio::net::{TcpListener, TcpStream, UnixStream};

use crate::support::runtimes;

async fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (near, far) = futures::join!(TcpStream::connect(addr), listener.accept());
    (near.unwrap(), far.unwrap().0)
}

async fn unix() -> (UnixStream, UnixStream) {
    UnixStream::pair().unwrap()
}

/// The same tests for both kinds of stream.
macro_rules! halves {
    ($name:ident) => {
        mod $name {
            use super::*;

            #[test]
            fn borrowed_halves_work_side_by_side() {
                for (kind, runtime) in runtimes() {
                    runtime.block_on(async {
                        let (mut near, mut far) = super::$name().await;
                        // More than the sockets hold, so that both must run.
                        let sent = vec![3; 4 << 20];
                        let echo = async {
                            let (mut read, mut write) = far.split();
                            tapio::io::copy(&mut read, &mut write).await.unwrap();
                            write.shutdown().await.unwrap();
                        };
                        let talk = async {
                            let (mut read, mut write) = near.split();
                            let mut heard = Vec::new();
                            let say = async {
                                write.write_all(&sent).await.unwrap();
                                write.shutdown().await.unwrap();
                            };
                            futures::join!(say, read.read_to_end(&mut heard)).1.unwrap();
                            heard
                        };
                        let (heard, ()) = futures::join!(talk, echo);
                        assert!(heard == sent, "{kind}: {} bytes", heard.len());
                    });
                }
            }

            #[test]
            fn dropping_the_owned_writing_half_ends_the_stream() {
                for (kind, runtime) in runtimes() {
                    runtime.block_on(async {
                        let (near, mut far) = super::$name().await;
                        let (mut read, mut write) = near.into_split();
                        let writer = tapio::task::spawn(async move {
                            write.write_all(b"bye").await.unwrap();
                        });
                        let mut heard = Vec::new();
                        far.read_to_end(&mut heard).await.unwrap();
                        writer.await.unwrap();
                        assert_eq!(heard, b"bye", "{kind}");
                        far.write_all(b"still here").await.unwrap();
                        drop(far);
                        heard.clear();
                        read.read_to_end(&mut heard).await.unwrap();
                        assert_eq!(heard, b"still here", "{kind}");
                    });
                }
            }

            #[test]
            fn a_forgotten_writing_half_ends_nothing() {
                for (kind, runtime) in runtimes() {
                    runtime.block_on(async {
                        let (near, mut far) = super::$name().await;
                        let (read, write) = near.into_split();
                        write.forget();
                        assert!(far.read(&mut [0; 8]).now_or_never().is_none(), "{kind}");
                        drop(read);
                        assert_eq!(far.read(&mut [0; 8]).await.unwrap(), 0, "{kind}");
                    });
                }
            }

            #[test]
            fn halves_of_one_stream_come_together_again() {
                for (kind, runtime) in runtimes() {
                    runtime.block_on(async {
                        let (near, mut far) = super::$name().await;
                        let (other, _other_far) = super::$name().await;
                        let (read, write) = near.into_split();
                        let (other_read, other_write) = other.into_split();
                        let error = read.reunite(other_write).unwrap_err();
                        assert!(error.to_string().contains("different"), "{kind}");
                        let (read, other_write) = (error.0, error.1);
                        let error = write.reunite(other_read).unwrap_err();
                        let (other_read, write) = (error.0, error.1);
                        other_read.reunite(other_write).unwrap();
                        let mut near = read.reunite(write).unwrap();
                        near.write_all(b"whole").await.unwrap();
                        let mut buf = [0; 5];
                        far.read_exact(&mut buf).await.unwrap();
                        assert_eq!(&buf, b"whole", "{kind}");
                    });
                }
            }

            #[test]
            fn halves_try_without_waiting() {
                for (kind, runtime) in runtimes() {
                    runtime.block_on(async {
                        let (near, far) = super::$name().await;
                        let (read, _near_write) = near.into_split();
                        let (_far_read, write) = far.into_split();
                        let mut heard = Vec::new();
                        assert!(read.try_read_buf(&mut heard).is_err(), "{kind}");
                        write.writable().await.unwrap();
                        assert_eq!(write.try_write(b"hello").unwrap(), 5, "{kind}");
                        read.readable().await.unwrap();
                        assert_eq!(read.try_read_buf(&mut heard).unwrap(), 5, "{kind}");
                        assert_eq!(heard, b"hello", "{kind}");
                    });
                }
            }
        }
    };
}

halves!(tcp);
halves!(unix);
