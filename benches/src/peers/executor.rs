//! The floor for tasks: one thread, one queue, nothing else.

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    pin::pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread,
    time::{Duration, Instant},
};

use super::{
    Peer,
    local_task::{run_next, spawn},
    wheel,
    yield_once::yield_now,
};
use crate::{
    contract::{Primitives, Receiver, Sender},
    workloads::{Cost, Plan, Task, tasks},
};

pub(crate) const PEER: Peer = Peer {
    name: "floor-executor",
    package: "",
    serve: None,
    run: Some(run),
    can: &[],
    ..Peer::NOBODY
};

thread_local! {
    static ROOT_WOKEN: Cell<bool> = const { Cell::new(false) };
}

/// How many tasks run before the root is looked at again.
const ROUND: usize = 64;

fn run(task: Task, plan: Plan) -> Result<Cost, String> {
    Ok(tasks!(Floor, task, plan, spawn, |root| block_on(async {
        spawn(root).await
    })))
}

/// Wakes the root by a flag of the one thread that there is.
struct Root;

impl Wake for Root {
    fn wake(self: Arc<Self>) {
        ROOT_WOKEN.set(true);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        ROOT_WOKEN.set(true);
    }
}

fn block_on<F: Future>(root: F) -> F::Output {
    let mut root = pin!(root);
    let waker = Waker::from(Arc::new(Root));
    let mut cx = Context::from_waker(&waker);
    ROOT_WOKEN.set(true);
    loop {
        if ROOT_WOKEN.take()
            && let Poll::Ready(output) = root.as_mut().poll(&mut cx)
        {
            return output;
        }
        let idle = (0..ROUND).any(|_| !run_next());
        if idle && !ROOT_WOKEN.get() {
            let due = wheel::next_due().expect("somebody can still wake the root");
            thread::sleep(due.saturating_duration_since(Instant::now()));
            wheel::fire(Instant::now());
        }
    }
}

struct Floor;

impl Primitives for Floor {
    type Sender = Near;
    type Receiver = Far;

    fn channel() -> (Near, Far) {
        let slot = Rc::new(RefCell::new(Slot::default()));
        (Near(Rc::clone(&slot)), Far(slot))
    }

    fn yield_now() -> impl Future<Output = ()> {
        yield_now()
    }

    fn sleep(duration: Duration) -> impl Future<Output = ()> {
        wheel::sleep(duration)
    }
}

/// Both ends of the channel: at most one value, at most one waiting receiver.
#[derive(Default)]
struct Slot {
    value: Option<u64>,
    closed: bool,
    waiting: Option<Waker>,
}

struct Near(Rc<RefCell<Slot>>);
struct Far(Rc<RefCell<Slot>>);

impl Near {
    fn change(&self, change: impl FnOnce(&mut Slot)) {
        let mut slot = self.0.borrow_mut();
        change(&mut slot);
        if let Some(waker) = slot.waiting.take() {
            waker.wake();
        }
    }
}

impl Drop for Near {
    fn drop(&mut self) {
        self.change(|slot| slot.closed = true);
    }
}

impl Sender for Near {
    async fn send(&mut self, value: u64) {
        self.change(|slot| {
            assert!(
                slot.value.replace(value).is_none(),
                "one value at a time is under way"
            );
        });
    }
}

impl Receiver for Far {
    async fn recv(&mut self) -> Option<u64> {
        poll_fn(|cx| {
            let mut slot = self.0.borrow_mut();
            if slot.value.is_some() || slot.closed {
                return Poll::Ready(slot.value.take());
            }
            slot.waiting = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }
}
