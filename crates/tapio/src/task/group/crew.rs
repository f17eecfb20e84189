//! A group's children, as its scope sees them.

use std::collections::HashMap;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::error::{Failure, report_lost};
use super::shared::{Incoming, Outcome, Shared};
use crate::report::TaskInfo;
use crate::task::{Id, JoinError, JoinSet};
use crate::time::{Instant, Sleep, sleep_until};

/// The children that the scope has seen. Dropping it aborts them.
pub(super) struct Crew<T, E> {
    set: JoinSet<Outcome<T, E>>,
    children: HashMap<Id, Child>,
    shared: Arc<Shared<T, E>>,
    group_at: &'static Location<'static>,
    started: Instant,
    deadline: Option<Pin<Box<Sleep>>>,
    failures: Vec<Failure<E>>,
}

struct Child {
    number: u64,
    at: &'static Location<'static>,
    /// Whether the group has asked for its end.
    is_cancelled: bool,
}

impl<T, E> Crew<T, E> {
    pub(super) fn new(
        shared: Arc<Shared<T, E>>,
        group_at: &'static Location<'static>,
    ) -> Crew<T, E> {
        Crew {
            set: JoinSet::new(),
            children: HashMap::new(),
            shared,
            group_at,
            started: Instant::now(),
            deadline: None,
            failures: Vec::new(),
        }
    }

    pub(super) fn has_failed(&self) -> bool {
        !self.failures.is_empty()
    }

    /// Everything that went wrong, in the order in which it did.
    pub(super) fn take_failures(&mut self) -> Vec<Failure<E>> {
        std::mem::take(&mut self.failures)
    }

    /// Takes in what went wrong in calls that ended after their children.
    pub(super) fn take_late(&mut self) {
        let late = self.shared.take_late();
        // As in `child_failed`.
        let is_unwanted = |failure: &Failure<E>| matches!(failure, Failure::Failed { .. });
        for failure in late {
            if self.has_failed() || !is_unwanted(&failure) {
                self.failures.push(failure);
            }
        }
    }

    /// Says of failures that they come out nowhere else.
    pub(super) fn report_failures(&mut self) {
        report_lost(self.group_at, self.take_failures());
    }
}

impl<T: 'static, E: 'static> Crew<T, E> {
    /// The body has failed.
    pub(super) fn body_failed(&mut self, error: E) {
        self.failures.push(Failure::Failed { error, task: None });
    }

    /// Sees to everything that is new. Says whether a child has ended.
    pub(super) fn look(&mut self, cx: &mut Context<'_>) -> bool {
        let news = self.shared.news(cx.waker());
        self.take_in(news.incoming);
        if news.is_cancelled {
            self.abort_all();
        }
        let has_ended = self.join(cx);
        self.look_at_clock(news.deadline, cx);
        has_ended
    }

    /// Waits until no child is left, and lets none come any more; or until one
    /// has failed.
    pub(super) fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.look(cx);
        if self.has_failed() || self.shared.close_if_empty() {
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// Lets no child come any more and aborts those that are there.
    pub(super) fn cancel(&mut self) {
        let incoming = self.shared.close();
        self.take_in(incoming);
        self.abort_all();
    }

    /// Waits until every child that was seen has ended.
    pub(super) fn poll_joined(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.join(cx);
        if self.set.is_empty() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    fn take_in(&mut self, incoming: Vec<Incoming<T, E>>) {
        for Incoming { handle, number, at } in incoming {
            let child = Child {
                number,
                at,
                is_cancelled: false,
            };
            self.children.insert(handle.id(), child);
            self.set.insert(handle);
        }
    }

    fn abort_all(&mut self) {
        self.set.abort_all();
        for child in self.children.values_mut() {
            child.is_cancelled = true;
        }
    }

    /// Takes in the ends of children, and has the next one wake the task.
    fn join(&mut self, cx: &mut Context<'_>) -> bool {
        let mut count = 0;
        let mut results = Vec::new();
        while let Poll::Ready(Some(joined)) = self.set.poll_join_next_with_id(cx) {
            count += 1;
            let (id, joined) = match joined {
                Ok((id, outcome)) => (id, Ok(outcome)),
                Err(error) => (error.id(), Err(error)),
            };
            let child = self.children.remove(&id).expect("it was taken in");
            match joined {
                Ok(Ok(result)) => results.push((child.number, result)),
                Ok(Err(error)) => self.child_failed(&child, id, error),
                Err(error) => self.child_ended(&child, error),
            }
        }
        if count > 0 {
            self.shared.ended(count, results);
        }
        count > 0
    }

    fn child_failed(&mut self, child: &Child, id: Id, error: E) {
        // Of a body that has what it wanted, nobody wants the others' errors.
        if !child.is_cancelled || self.has_failed() {
            let task = Some(TaskInfo::new(id, child.at));
            self.failures.push(Failure::Failed { error, task });
        }
    }

    fn child_ended(&mut self, child: &Child, error: JoinError) {
        let task = TaskInfo::new(error.id(), child.at);
        if error.is_panic() {
            self.failures.push(Failure::Panicked { task, panic: error });
        } else if !child.is_cancelled {
            self.failures.push(Failure::Cancelled { task });
        }
    }

    fn look_at_clock(&mut self, deadline: Option<Instant>, cx: &mut Context<'_>) {
        let Some(deadline) = deadline else {
            return;
        };
        let sleep = self
            .deadline
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() != deadline {
            sleep.as_mut().reset(deadline);
        }
        if sleep.as_mut().poll(cx).is_ready() && !self.has_failed() {
            let failure = Failure::TimedOut {
                after: self.started.elapsed(),
                left: self.sites(),
            };
            self.failures.push(failure);
        }
    }

    /// The children that are there, by where they were spawned; most first.
    fn sites(&self) -> Vec<(&'static Location<'static>, usize)> {
        let mut counts: HashMap<_, usize> = HashMap::new();
        for child in self.children.values() {
            *counts.entry(child.at).or_default() += 1;
        }
        let mut sites: Vec<_> = counts.into_iter().collect();
        sites.sort_by_key(|(at, count)| (usize::MAX - count, at.file(), at.line(), at.column()));
        sites
    }
}

impl<T, E> Drop for Crew<T, E> {
    fn drop(&mut self) {
        // The set aborts its own.
        for late in self.shared.close() {
            late.handle.abort();
        }
        self.take_late();
        self.report_failures();
    }
}
