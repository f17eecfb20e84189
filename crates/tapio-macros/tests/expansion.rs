//! The macros as a program uses them, over a runtime that is only a
//! `block_on`: what is tested here is the expansion, not the scheduler.

use std::io;

/// Stands in for the crate; records what the expansion asked for.
mod fake {
    pub(crate) mod runtime {
        use std::future::Future;
        use std::pin::pin;
        use std::task::{Context, Poll, Waker};

        #[derive(Debug, Default)]
        pub(crate) struct Builder {
            pub(crate) calls: Vec<String>,
        }

        #[derive(Debug)]
        pub(crate) struct Runtime(Vec<String>);

        impl Builder {
            pub(crate) fn new_multi_thread() -> Builder {
                Builder {
                    calls: vec!["multi_thread".to_owned()],
                }
            }

            pub(crate) fn new_current_thread() -> Builder {
                Builder {
                    calls: vec!["current_thread".to_owned()],
                }
            }

            pub(crate) fn enable_all(&mut self) -> &mut Builder {
                self.calls.push("enable_all".to_owned());
                self
            }

            pub(crate) fn worker_threads(&mut self, count: usize) -> &mut Builder {
                self.calls.push(format!("worker_threads {count}"));
                self
            }

            pub(crate) fn name(&mut self, name: &str) -> &mut Builder {
                self.calls.push(format!("name {name}"));
                self
            }

            pub(crate) fn build(&mut self) -> Result<Runtime, std::io::Error> {
                Ok(Runtime(std::mem::take(&mut self.calls)))
            }
        }

        thread_local! {
            pub(crate) static CALLS: std::cell::RefCell<Vec<String>> = const { std::cell::RefCell::new(Vec::new()) };
        }

        impl Runtime {
            pub(crate) fn block_on<F: Future>(self, future: F) -> F::Output {
                CALLS.set(self.0);
                let mut future = pin!(future);
                let mut context = Context::from_waker(Waker::noop());
                loop {
                    if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                        return output;
                    }
                }
            }
        }
    }
}

fn calls() -> Vec<String> {
    fake::runtime::CALLS.with_borrow(Clone::clone)
}

#[tapio_macros::main(crate = "crate::fake")]
async fn defaults() -> Vec<String> {
    calls()
}

#[tapio_macros::main(crate = "crate::fake", worker_threads = 3, name = "three")]
async fn options() -> Vec<String> {
    calls()
}

#[tapio_macros::main_rt(crate = "crate::fake")]
async fn without_threads() -> Vec<String> {
    calls()
}

#[test]
fn the_builder_is_asked_for_what_was_written() {
    assert_eq!(defaults(), ["multi_thread", "enable_all"]);
    assert_eq!(
        options(),
        [
            "multi_thread",
            "enable_all",
            "worker_threads 3",
            "name three"
        ]
    );
    assert_eq!(without_threads(), ["current_thread", "enable_all"]);
}

#[tapio_macros::test(crate = "crate::fake")]
async fn a_test_runs_on_one_thread_by_default() {
    assert_eq!(calls(), ["current_thread", "enable_all"]);
}

#[tapio_macros::test(crate = "crate::fake", flavor = "multi_thread", worker_threads = 2)]
async fn a_test_may_ask_for_threads() {
    assert_eq!(calls(), ["multi_thread", "enable_all", "worker_threads 2"]);
}

#[tapio_macros::test(crate = "crate::fake")]
#[should_panic(expected = "seen")]
async fn other_attributes_of_a_test_are_kept() {
    panic!("seen");
}

#[tapio_macros::test(crate = "crate::fake")]
async fn a_test_may_return_a_result() -> io::Result<()> {
    std::future::ready(Ok::<(), io::Error>(())).await?;
    Ok(())
}

#[tapio_macros::main(crate = "crate::fake")]
async fn early_return(stop: bool) -> Result<u8, String> {
    if stop {
        return Err("stopped".to_owned());
    }
    let number: u8 = "7".parse().map_err(|_| "no number")?;
    Ok(number)
}

#[tapio_macros::main(crate = "crate::fake")]
async fn generic<T, const N: usize>(value: &T) -> [T; N]
where
    T: Copy + Default,
{
    [*value; N]
}

#[tapio_macros::main(crate = "crate::fake")]
async fn opaque(n: u8) -> impl Iterator<Item = u8> {
    0..n
}

#[tapio_macros::main(crate = "crate::fake")]
async fn borrowed(text: &str) -> &str {
    text.trim()
}

#[tapio_macros::main(crate = "crate::fake")]
async fn consumed(text: String) -> Vec<u8> {
    text.into_bytes()
}

#[tapio_macros::main(crate = "crate::fake")]
async fn changed(list: &mut Vec<u8>, mut more: Vec<u8>) -> usize {
    list.append(&mut more);
    list.len()
}

#[tapio_macros::main(crate = "crate::fake")]
async fn never() -> ! {
    panic!("never returns");
}

#[tapio_macros::main(crate = "crate::fake")]
async fn inner_attribute() {
    #![allow(unused_variables)]
    let x = 1;
}

#[rustfmt::skip]
#[tapio_macros::main(crate = "crate::fake")]
async fn one_line() { let _ = 1 + 1; }

#[tapio_macros::main(crate = "crate::fake")]
async fn nothing() {}

#[test]
fn functions_of_all_kinds_expand() {
    assert_eq!(early_return(true), Err("stopped".to_owned()));
    assert_eq!(early_return(false), Ok(7));
    assert_eq!(generic::<u8, 3>(&5), [5, 5, 5]);
    assert_eq!(opaque(3).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(borrowed(" a "), "a");
    assert_eq!(consumed("a".to_owned()), b"a");
    let mut list = vec![1];
    assert_eq!(changed(&mut list, vec![2, 3]), 3);
    assert!(std::panic::catch_unwind(|| never()).is_err());
    inner_attribute();
    one_line();
    nothing();
}

struct Counter(u8);

impl Counter {
    #[tapio_macros::main(crate = "crate::fake")]
    async fn next(&mut self) -> u8 {
        self.0 += 1;
        self.0
    }

    #[tapio_macros::main(crate = "crate::fake")]
    async fn name(&self) -> &'static str {
        Self::NAME
    }

    #[tapio_macros::main(crate = "crate::fake")]
    async fn finish(self) -> u8 {
        self.0
    }

    #[tapio_macros::main(crate = "crate::fake")]
    async fn new() -> Self {
        Counter(0)
    }

    #[tapio_macros::main(crate = "crate::fake")]
    async fn default_name() -> &'static str {
        Self::NAME
    }

    const NAME: &'static str = "counter";
}

#[test]
fn methods_expand() {
    let mut counter = Counter::new();
    assert_eq!(Counter::default_name(), "counter");
    assert_eq!(counter.next(), 1);
    assert_eq!(counter.name(), "counter");
    assert_eq!(counter.finish(), 1);
}

macro_rules! from_a_macro {
    (async fn $name:ident() $body:block) => {
        #[::tapio_macros::test(crate = "crate::fake")]
        async fn $name() {
            $body
        }
    };
}

from_a_macro!(
    async fn a_test_may_come_from_a_macro() {}
);

mod shadowed {
    //! Names of the user's that resemble ours must not be captured.
    #![allow(dead_code)]

    struct Builder;
    struct Result;
    fn body() -> u8 {
        3
    }

    #[tapio_macros::test(crate = "crate::fake")]
    async fn the_users_names_stay_the_users() {
        assert_eq!(body(), 3);
    }
}
