//! Where the workers of a runtime say what they run, whether the guard
//! watches them or not: for whoever waits for them to end.

use std::panic::Location;
use std::sync::Arc;

use parking_lot::Mutex;

use super::shared::Shared;
use super::slot::Slot;
use crate::context::{self, PostGuard};
use crate::guard::Watching;
use crate::post::{Post, Running};

/// The posts of all workers there are.
#[derive(Debug, Default)]
pub(super) struct Posts(Mutex<Vec<Arc<Post>>>);

/// This thread is a worker, and listed as one until dropped.
pub(super) struct Listed<'a> {
    shared: &'a Shared,
    post: Arc<Post>,
    /// Dropped in this order's reverse: the post is used until then.
    _place: Place,
}

enum Place {
    /// The guard watches, and has made the post.
    Watched {
        _watching: Watching,
    },
    Unwatched {
        _post: PostGuard,
    },
}

impl Shared {
    /// Lists this thread as a worker, and has the guard watch it if the guard
    /// watches this runtime.
    pub(super) fn list_worker(self: &Arc<Self>, slot: &Arc<Slot>) -> Listed<'_> {
        let (post, place) = match self.watch_worker(slot) {
            Some(watching) => {
                let post = Arc::clone(watching.post());
                (
                    post,
                    Place::Watched {
                        _watching: watching,
                    },
                )
            }
            None => {
                let post = Arc::new(Post::new());
                let guard = context::set_post(Arc::clone(&post), None);
                (post, Place::Unwatched { _post: guard })
            }
        };
        self.posts.0.lock().push(Arc::clone(&post));
        // After the push, so that it is this or `end_polls` that sees the other.
        if self.is_stopping() {
            post.set_ending();
        }
        Listed {
            shared: self,
            post,
            _place: place,
        }
    }

    /// Has every task that runs end with its poll.
    pub(super) fn end_polls(&self) {
        for post in self.posts.0.lock().iter() {
            post.set_ending();
        }
    }

    /// What the threads of this runtime run at this moment.
    pub(crate) fn what_runs(&self) -> WhatRuns {
        let posts = self.posts.0.lock();
        let running = posts.iter().map(|post| post.look().running());
        let running: Vec<_> = running.filter(|now| *now != Running::NOTHING).collect();
        let workers = posts.len();
        drop(posts);
        let tasks: Vec<_> = running.iter().filter_map(|now| now.location()).collect();
        let calls = self.pool.running_calls();
        // Those that have not come to their work yet, or have left it.
        let between = self.pool.alive().saturating_sub(workers + calls.len());
        WhatRuns {
            others: running.len() - tasks.len() + between,
            tasks,
            calls,
        }
    }
}

/// What the threads of a runtime run, other than waiting.
pub(crate) struct WhatRuns {
    /// Tasks that are polled or dropped, by where they were spawned.
    pub(crate) tasks: Vec<&'static Location<'static>>,
    /// Blocking calls, likewise.
    pub(crate) calls: Vec<&'static Location<'static>>,
    /// Threads that run neither: hooks, and wakers that are no tasks'.
    pub(crate) others: usize,
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        let mut posts = self.shared.posts.0.lock();
        if let Some(index) = posts.iter().position(|post| Arc::ptr_eq(post, &self.post)) {
            posts.swap_remove(index);
        }
    }
}
