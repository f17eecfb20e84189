//! Waiting for a lock: a future that says so when it must.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::sync::{AcquireError, SemaphorePermit};

use super::actor::Here;
use super::graph::{self, Ticket, Waking};
use super::ledger::Note;
use super::raw::{Ask, Raw};
use crate::{cell, coop, main_future};

pin_project_lite::pin_project! {
    /// Waits for a lock, and writes down that it got it.
    pub(super) struct Waiting<'a, F> {
        // Dropped first: nobody is to look for a deadlock with a waiter that
        // has left tokio's queue.
        ticket: Option<Ticket>,
        #[pin]
        permit: F,
        // What came when the budget was spent: the task gives way before it
        // has the lock, and keeps its place in line by having the permit.
        got: Option<SemaphorePermit<'a>>,
        raw: &'a Raw,
        ask: Ask,
        blocks: Option<Here>,
    }
}

impl<'a, F> Waiting<'a, F> {
    pub(super) fn new(raw: &'a Raw, ask: Ask, permit: F) -> Waiting<'a, F> {
        Waiting {
            ticket: None,
            permit,
            got: None,
            raw,
            ask,
            blocks: None,
        }
    }

    /// The thread does nothing else meanwhile, in the name of whoever runs on
    /// it now.
    pub(super) fn blocking(mut self) -> Waiting<'a, F> {
        self.blocks = Some(Here::now(None));
        self
    }
}

impl<'a, F> Future for Waiting<'a, F>
where
    F: Future<Output = Result<SemaphorePermit<'a>, AcquireError>>,
{
    type Output = Result<Note, AcquireError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if this.got.is_none() {
            match this.permit.poll(cx) {
                Poll::Ready(Ok(permit)) => *this.got = Some(permit),
                Poll::Ready(Err(closed)) => {
                    *this.ticket = None;
                    return Poll::Ready(Err(closed));
                }
                Poll::Pending => {
                    if this.ticket.is_none() {
                        *this.ticket = Some(announce(this.raw, *this.ask, *this.blocks, cx));
                    }
                    return Poll::Pending;
                }
            }
        }
        ready!(coop::poll_proceed(cx)).made_progress();
        if let Some(permit) = this.got.take() {
            permit.forget();
        }
        let here = this.blocks.unwrap_or_else(|| Here::now(Some(cx.waker())));
        let note = this.raw.write(*this.ask, here);
        if let Some(ticket) = this.ticket.take() {
            ticket.granted(note);
        }
        Poll::Ready(Ok(note))
    }
}

/// Says that somebody waits, and for what.
#[cold]
fn announce(raw: &Raw, ask: Ask, blocks: Option<Here>, cx: &Context<'_>) -> Ticket {
    let here = blocks.unwrap_or_else(|| Here::now(Some(cx.waker())));
    let waking = if blocks.is_some() {
        Waking::Blocked
    } else if cell::is_task_waker(cx.waker()) {
        Waking::Task(cx.waker().clone())
    } else if let Some(main) = main_future::of(cx.waker()) {
        Waking::Main(main)
    } else if here.actor.is_foreign() {
        Waking::Foreign
    } else {
        Waking::Unknown
    };
    graph::wait(raw.ledger(), here, ask, waking)
}

/// The place of the call of the function that calls this.
#[track_caller]
#[inline]
pub(super) fn borrowed(permits: u32) -> Ask {
    Ask {
        permits,
        place: Location::caller(),
        is_movable: false,
    }
}

/// As `borrowed`, for a guard that can be given to another task.
#[track_caller]
#[inline]
pub(super) fn owned(permits: u32) -> Ask {
    Ask {
        permits,
        place: Location::caller(),
        is_movable: true,
    }
}
