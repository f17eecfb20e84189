//! Where workers meet when the runtime stops.

use parking_lot::{Condvar, Mutex};

/// A barrier whose number of members may shrink: a seat whose worker could
/// not be started is not waited for.
#[derive(Debug)]
pub(super) struct Gate {
    state: Mutex<State>,
    opened: Condvar,
}

#[derive(Debug)]
struct State {
    members: usize,
    arrived: usize,
    /// How often the gate has opened.
    round: usize,
}

impl Gate {
    pub(super) fn new(members: usize) -> Gate {
        Gate {
            state: Mutex::new(State {
                members,
                arrived: 0,
                round: 0,
            }),
            opened: Condvar::new(),
        }
    }

    /// Waits until every member is here.
    pub(super) fn meet(&self) {
        let mut state = self.state.lock();
        state.arrived += 1;
        let round = state.round;
        self.open_if_complete(&mut state);
        while state.round == round {
            self.opened.wait(&mut state);
        }
    }

    /// Whether all have met once.
    pub(super) fn has_opened(&self) -> bool {
        self.state.lock().round > 0
    }

    /// Some members will never come.
    pub(super) fn withdraw(&self, count: usize) {
        let mut state = self.state.lock();
        state.members -= count;
        self.open_if_complete(&mut state);
    }

    fn open_if_complete(&self, state: &mut State) {
        if state.arrived > 0 && state.arrived == state.members {
            state.arrived = 0;
            state.round += 1;
            self.opened.notify_all();
        }
    }
}
