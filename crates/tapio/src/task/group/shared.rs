//! What a group's scope shares with those who spawn into it.

use std::collections::VecDeque;
use std::future::Future;
use std::mem;
use std::panic::Location;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::thread;

use tapio_driver::lock::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::{Failure, report_lost};
use super::life::{Alive, LIFE};
use crate::coop;
use crate::report::TaskInfo;
use crate::task::{JoinError, JoinHandle, spawn};
use crate::time::Instant;

/// What a child gives back.
pub(super) type Outcome<T, E> = Result<T, E>;

pub(super) struct Shared<T, E> {
    /// Where the scope is.
    pub(super) at: &'static Location<'static>,
    state: Mutex<State<T, E>>,
}

struct State<T, E> {
    /// Spawned, and not yet seen by the scope.
    incoming: Vec<Incoming<T, E>>,
    /// What children gave, with the numbers of the children.
    results: VecDeque<(u64, T)>,
    /// Children whose end the scope has not seen.
    open: usize,
    next_number: u64,
    /// `None` when nothing may be spawned any more.
    life: Option<Arc<Alive>>,
    limit: Option<Arc<Semaphore>>,
    deadline: Option<Instant>,
    is_cancelled: bool,
    /// Of calls whose children were cancelled; `None` when nobody looks.
    late: Option<Vec<Failure<E>>>,
    /// The task of the scope.
    scope: Option<Waker>,
    /// Whoever waits for results.
    waiting: Vec<Waker>,
}

/// A child on its way to the scope.
pub(super) struct Incoming<T, E> {
    pub(super) handle: JoinHandle<Outcome<T, E>>,
    pub(super) number: u64,
    pub(super) at: &'static Location<'static>,
}

/// What the scope has to see to.
pub(super) struct News<T, E> {
    pub(super) incoming: Vec<Incoming<T, E>>,
    pub(super) deadline: Option<Instant>,
    pub(super) is_cancelled: bool,
}

/// A child that is about to be; counted from now on, so that the group does
/// not end before it.
pub(super) struct Birth<'a, T, E> {
    shared: &'a Shared<T, E>,
    life: Arc<Alive>,
    limit: Option<Arc<Semaphore>>,
    number: u64,
    is_done: bool,
}

impl<T, E> Shared<T, E> {
    pub(super) fn new(at: &'static Location<'static>) -> Shared<T, E> {
        Shared {
            at,
            state: Mutex::new(State {
                incoming: Vec::new(),
                results: VecDeque::new(),
                open: 0,
                next_number: 0,
                life: None,
                limit: None,
                deadline: None,
                is_cancelled: false,
                late: Some(Vec::new()),
                scope: None,
                waiting: Vec::new(),
            }),
        }
    }

    /// Lets children be spawned, of this life.
    pub(super) fn open(&self, life: Arc<Alive>) {
        self.state.lock().life = Some(life);
    }

    pub(super) fn set_limit(&self, count: usize) {
        let count = count.min(Semaphore::MAX_PERMITS);
        self.state.lock().limit = Some(Arc::new(Semaphore::new(count)));
    }

    pub(super) fn limit(&self) -> Option<Arc<Semaphore>> {
        self.state.lock().limit.clone()
    }

    pub(super) fn set_deadline(&self, deadline: Instant) {
        self.change(|state| state.deadline = Some(deadline));
    }

    pub(super) fn cancel(&self) {
        self.change(|state| state.is_cancelled = true);
    }

    /// Changes what the scope has to see to.
    fn change(&self, change: impl FnOnce(&mut State<T, E>)) {
        let mut state = self.state.lock();
        change(&mut state);
        let scope = state.scope.take();
        drop(state);
        if let Some(scope) = scope {
            scope.wake();
        }
    }

    /// How many children are there.
    pub(super) fn open_count(&self) -> usize {
        self.state.lock().open
    }

    /// `None` when the group is over.
    pub(super) fn birth(&self) -> Option<Birth<'_, T, E>> {
        let mut state = self.state.lock();
        let life = Arc::clone(state.life.as_ref()?);
        state.open += 1;
        let number = state.next_number;
        state.next_number += 1;
        Some(Birth {
            shared: self,
            life,
            limit: state.limit.clone(),
            number,
            is_done: false,
        })
    }

    /// What is new; `scope` is woken when there is more.
    pub(super) fn news(&self, scope: &Waker) -> News<T, E> {
        let mut state = self.state.lock();
        let known = state.scope.replace(scope.clone());
        let news = News {
            incoming: mem::take(&mut state.incoming),
            deadline: state.deadline,
            is_cancelled: mem::take(&mut state.is_cancelled),
        };
        drop(state);
        drop(known);
        news
    }

    /// Children have ended, so many, and these gave results.
    pub(super) fn ended(&self, count: usize, results: Vec<(u64, T)>) {
        let mut state = self.state.lock();
        state.open -= count;
        state.results.extend(results);
        let waiting = mem::take(&mut state.waiting);
        drop(state);
        for waker in waiting {
            waker.wake();
        }
    }

    /// Ends the group unless a child is there.
    pub(super) fn close_if_empty(&self) -> bool {
        let mut state = self.state.lock();
        if state.open > 0 {
            return false;
        }
        let life = state.life.take();
        drop(state);
        // The last one wakes whoever waits for it.
        drop(life);
        true
    }

    /// Ends the group; the children that the scope has not seen come out.
    pub(super) fn close(&self) -> Vec<Incoming<T, E>> {
        let mut state = self.state.lock();
        let life = state.life.take();
        let incoming = mem::take(&mut state.incoming);
        drop(state);
        drop(life);
        incoming
    }

    /// A call has ended after its child was cancelled. Values are as unwanted
    /// as those of children.
    pub(super) fn call_ended(&self, task: TaskInfo, ended: thread::Result<Outcome<T, E>>) {
        let failure = match ended {
            Ok(Ok(_)) => return,
            Ok(Err(error)) => Failure::Failed {
                error,
                task: Some(task),
            },
            Err(payload) => Failure::Panicked {
                panic: JoinError::panic(task.id, payload),
                task,
            },
        };
        let mut state = self.state.lock();
        if let Some(late) = &mut state.late {
            late.push(failure);
            return;
        }
        drop(state);
        report_lost(self.at, vec![failure]);
    }

    /// What calls failed with after their children were cancelled; from now on
    /// nobody looks.
    pub(super) fn take_late(&self) -> Vec<Failure<E>> {
        self.state.lock().late.take().unwrap_or_default()
    }

    /// The next result; `None` when no child is left to give one.
    pub(super) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let spent = ready!(coop::poll_proceed(cx));
        let mut state = self.state.lock();
        if let Some((_, result)) = state.results.pop_front() {
            spent.made_progress();
            return Poll::Ready(Some(result));
        }
        if state.open == 0 {
            return Poll::Ready(None);
        }
        state.wait(cx.waker());
        Poll::Pending
    }

    /// All results, in the order of spawning, when no child is left.
    pub(super) fn poll_all(&self, cx: &mut Context<'_>) -> Poll<Vec<T>> {
        let spent = ready!(coop::poll_proceed(cx));
        let mut state = self.state.lock();
        if state.open > 0 {
            state.wait(cx.waker());
            return Poll::Pending;
        }
        let mut results = Vec::from(mem::take(&mut state.results));
        drop(state);
        spent.made_progress();
        results.sort_unstable_by_key(|(number, _)| *number);
        Poll::Ready(results.into_iter().map(|(_, result)| result).collect())
    }
}

impl<T, E> State<T, E> {
    fn wait(&mut self, waker: &Waker) {
        if !self.waiting.iter().any(|other| other.will_wake(waker)) {
            self.waiting.push(waker.clone());
        }
    }
}

impl<T, E> Birth<'_, T, E>
where
    T: Send + 'static,
    E: Send + 'static,
{
    pub(super) fn life(&self) -> Arc<Alive> {
        Arc::clone(&self.life)
    }

    /// Spawns the child. Without a `place`, it waits for one by itself.
    #[track_caller]
    pub(super) fn spawn<F>(mut self, future: F, place: Option<OwnedSemaphorePermit>)
    where
        F: Future<Output = Outcome<T, E>> + Send + 'static,
    {
        let limit = self.limit.take().filter(|_| place.is_none());
        let child = async move {
            let _place = match limit {
                Some(limit) => limit.acquire_owned().await.ok(),
                None => place,
            };
            future.await
        };
        let handle = spawn(LIFE.scope(self.life(), child));
        let incoming = Incoming {
            handle,
            number: self.number,
            at: Location::caller(),
        };
        self.is_done = true;
        let mut incoming = Some(incoming);
        self.shared.change(|state| {
            if state.life.is_some() {
                state.incoming.extend(incoming.take());
            }
        });
        if let Some(late) = incoming {
            // The group failed just now. Whoever waits for it waits for the
            // child's life.
            late.handle.abort();
        }
    }
}

impl<T, E> Drop for Birth<'_, T, E> {
    fn drop(&mut self) {
        if !self.is_done {
            // Spawning panicked.
            self.shared.ended(1, Vec::new());
            self.shared.change(|_| {});
        }
    }
}
