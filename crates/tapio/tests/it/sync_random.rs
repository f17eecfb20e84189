//! Random locks taken in random orders by a few tasks: a deadlock is told
//! exactly when a model of the test's own, which knows only who has which
//! mutex and who waits, says that there is one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex as StdMutex};

use proptest::test_runner::{Config, TestRunner};
use tapio::runtime::Runtime;
use tapio::sync::{Mutex, mpsc};
use tapio::task::JoinHandle;

use crate::support::{Kind, counted, until};
use crate::sync_deadlock::{drive, told_after};
use crate::sync_support::Reports;

const TASKS: usize = 4;
const LOCKS: usize = 4;

/// What a task is told to do next.
#[derive(Clone, Copy, Debug)]
enum Step {
    Lock(usize),
    /// Drops the guard that it got last.
    Release,
}

/// What tasks say of themselves.
#[derive(Debug, Default)]
struct Said {
    waits: [bool; TASKS],
    done: [usize; TASKS],
}

/// A task that does what it is told, one step at a time.
struct Doer {
    task: JoinHandle<()>,
    steps: mpsc::UnboundedSender<Step>,
}

fn doer(
    runtime: &Runtime,
    number: usize,
    locks: &Arc<Vec<Mutex<()>>>,
    said: &Arc<StdMutex<Said>>,
) -> Doer {
    let (sender, mut steps) = mpsc::unbounded_channel();
    let (locks, said) = (Arc::clone(locks), Arc::clone(said));
    let task = runtime.spawn(async move {
        let mut guards = vec![];
        while let Some(step) = steps.recv().await {
            match step {
                Step::Lock(lock) => {
                    let say = || said.lock().unwrap().waits[number] = true;
                    guards.push(counted(locks[lock].lock(), say).await);
                    said.lock().unwrap().waits[number] = false;
                }
                Step::Release => drop(guards.pop()),
            }
            said.lock().unwrap().done[number] += 1;
        }
    });
    Doer {
        task,
        steps: sender,
    }
}

/// The test's own idea of mutexes.
#[derive(Default)]
struct Model {
    holds: [Vec<usize>; TASKS],
    waits: [Option<usize>; TASKS],
    /// How many steps each has done.
    done: [usize; TASKS],
    lines: HashMap<usize, Vec<usize>>,
}

impl Model {
    fn holder(&self, lock: usize) -> Option<usize> {
        (0..TASKS).find(|task| self.holds[*task].contains(&lock))
    }

    fn lock(&mut self, task: usize, lock: usize) {
        if self.holder(lock).is_some() {
            self.waits[task] = Some(lock);
            self.lines.entry(lock).or_default().push(task);
        } else {
            self.holds[task].push(lock);
            self.done[task] += 1;
        }
    }

    fn release(&mut self, task: usize) {
        self.done[task] += 1;
        let Some(lock) = self.holds[task].pop() else {
            return;
        };
        let line = self.lines.entry(lock).or_default();
        if !line.is_empty() {
            let next = line.remove(0);
            self.waits[next] = None;
            self.holds[next].push(lock);
            self.done[next] += 1;
        }
    }

    /// Those in the circle that `task` waits in: a mutex has one holder, so
    /// there is one way to follow.
    fn circle(&self, task: usize) -> Option<Vec<usize>> {
        let mut circle = vec![task];
        loop {
            let last = circle[circle.len() - 1];
            let next = self.holder(self.waits[last]?)?;
            if next == task {
                return Some(circle);
            }
            if circle.contains(&next) {
                return None;
            }
            circle.push(next);
        }
    }
}

/// Plays one game until it is over or there is a deadlock; says whether there
/// was one.
fn play(runtime: &Runtime, game: &str, moves: &[(usize, Step)]) -> bool {
    let reports = Reports::on(game);
    let locks = (0..LOCKS).map(|i| Mutex::named(reports.name(&i.to_string()), ()));
    let locks = Arc::new(locks.collect::<Vec<_>>());
    let said = Arc::new(StdMutex::new(Said::default()));
    let doers: Vec<_> = (0..TASKS)
        .map(|number| doer(runtime, number, &locks, &said))
        .collect();
    let mut model = Model::default();
    let mut circle = None;
    for (task, step) in moves {
        if model.waits[*task].is_some() {
            continue;
        }
        match step {
            Step::Lock(lock) => model.lock(*task, *lock),
            Step::Release => model.release(*task),
        }
        doers[*task].steps.send(*step).unwrap();
        // Real tasks get to where the model is.
        runtime.block_on(until(|| {
            let said = said.lock().unwrap();
            said.done == model.done
                && (0..TASKS).all(|task| said.waits[task] == model.waits[task].is_some())
        }));
        circle = model.circle(*task);
        if circle.is_some() {
            break;
        }
    }
    if let Some(circle) = &circle {
        runtime.block_on(drive(&reports));
        let deadlock = reports.deadlock();
        let mut told: Vec<String> = deadlock
            .parties
            .iter()
            .map(|party| party.user.to_string())
            .collect();
        let mut expected: Vec<String> = circle
            .iter()
            .map(|task| format!("task {} ", doers[*task].task.id()))
            .collect();
        told.sort();
        expected.sort();
        assert_eq!(told.len(), expected.len(), "{deadlock}");
        for task in &expected {
            assert!(told.iter().any(|user| user.starts_with(task)), "{deadlock}");
        }
    } else {
        // Whatever was to be told has been.
        told_after(runtime, &reports);
    }
    assert_eq!(
        reports.deadlocks_so_far().len(),
        0,
        "told, but there was none"
    );
    runtime.block_on(async {
        for doer in doers {
            doer.task.abort();
            let _ = doer.task.await;
        }
    });
    assert!(locks.iter().all(|lock| lock.try_lock().is_ok()));
    circle.is_some()
}

#[test]
fn what_is_told_is_what_there_is() {
    use proptest::prelude::*;

    let kind = Kind::all().pop().expect("there are some");
    let runtime = kind.build();
    let step = prop_oneof![
        3 => (0..LOCKS).prop_map(Step::Lock),
        1 => Just(Step::Release),
    ];
    let moves = prop::collection::vec((0..TASKS, step), 1..40);
    let games = StdMutex::new((0, 0));
    let config = Config {
        cases: 200,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&moves, |moves| {
            let number = games.lock().unwrap().0;
            let is_deadlock = play(&runtime, &format!("random/{number}/"), &moves);
            let mut games = games.lock().unwrap();
            games.0 += 1;
            games.1 += usize::from(is_deadlock);
            Ok(())
        })
        .unwrap();
    let (played, deadlocks) = games.into_inner().unwrap();
    assert!(
        deadlocks > 0 && deadlocks < played,
        "{deadlocks} of {played}"
    );
}
