//! Whatever spawns or blocks is known by its caller's line, in every report.
//!
//! What is spawned here panics unheard, and says its own name with that.

use std::collections::HashMap;
use std::panic::Location;
use std::sync::{Arc, Mutex as StdMutex};
use std::thread;

use tapio::guard::{self, LockHeld, LockUser, Report, Subscription};
use tapio::promise::promise;
use tapio::runtime::{Handle, Runtime};
use tapio::sync::Mutex;
use tapio::task::{self, Builder, Failure, GroupError, JoinSet, LocalSet, TaskGroup};
use tapio::{cpu, time};

use crate::reports::panic_quietly;
use crate::support::{runtimes, until};
use crate::sync_support::{NEVER, Reports};

/// Where things were said to be spawned, by the names that they panicked with.
struct Sites {
    heard: Arc<StdMutex<HashMap<String, &'static Location<'static>>>>,
    expected: HashMap<&'static str, u32>,
    _subscription: Subscription,
}

impl Sites {
    fn new() -> Sites {
        let heard = Arc::<StdMutex<HashMap<_, _>>>::default();
        let told = Arc::clone(&heard);
        let subscription = guard::on_report(move |report| {
            let (message, at) = match report {
                Report::UnobservedPanic(panic) => (&panic.message, panic.task.spawned_at),
                Report::CallbackPanic(panic) => (&panic.message, panic.given_at),
                _ => return,
            };
            if let Some(name) = message {
                told.lock().unwrap().insert(name.clone(), at);
            }
        });
        Sites {
            heard,
            expected: HashMap::new(),
            _subscription: subscription,
        }
    }

    fn has(&self, name: &str) -> bool {
        self.heard.lock().unwrap().contains_key(name)
    }

    /// Waits until all that was expected was heard, and compares.
    async fn compare(&self, kind: &str) {
        let limit = time::Instant::now() + NEVER;
        for (name, line) in &self.expected {
            let is_late = || time::Instant::now() > limit;
            until(|| self.has(name) || is_late()).await;
            assert!(self.has(name), "{kind}: not heard of {name}");
            let at = self.heard.lock().unwrap()[*name];
            assert_eq!((at.file(), at.line()), (file!(), *line), "{kind}: {name}");
        }
    }
}

/// One way to spawn: a name, and an expression on the line of the macro.
macro_rules! case {
    ($sites:expr; $name:literal => $spawn:expr) => {{
        $sites.expected.insert($name, line!());
        $spawn
    }};
}

async fn fails(name: &'static str) {
    panic_quietly(name)
}

fn fail(name: &'static str) -> impl FnOnce() + Send {
    move || panic_quietly(name)
}

#[test]
fn tasks_and_calls_are_known_by_the_line_that_spawned_them() {
    for (kind, runtime) in runtimes() {
        let mut sites = Sites::new();
        let handle = runtime.handle().clone();
        drop(case!(sites; "Runtime::spawn" => runtime.spawn(fails("Runtime::spawn"))));
        drop(case!(sites; "Runtime::sb" => runtime.spawn_blocking(fail("Runtime::sb"))));
        drop(case!(sites; "Handle::spawn" => handle.spawn(fails("Handle::spawn"))));
        drop(case!(sites; "Handle::sb" => handle.spawn_blocking(fail("Handle::sb"))));
        runtime.block_on(async {
            drop(case!(sites; "spawn" => tapio::spawn(fails("spawn"))));
            drop(case!(sites; "task::spawn" => task::spawn(fails("task::spawn"))));
            drop(case!(sites; "task::sb" => task::spawn_blocking(fail("task::sb"))));
            builders(&mut sites, &handle);
            sets(&mut sites, &handle).await;
            local(&mut sites).await;
            computations(&mut sites).await;
            callbacks(&mut sites).await;
            sites.compare(&kind.to_string()).await;
        });
    }
}

fn builders(sites: &mut Sites, handle: &Handle) {
    let new = || Builder::new().name("named");
    drop(case!(sites; "B::spawn" => Builder::new().spawn(fails("B::spawn"))));
    drop(case!(sites; "B::named" => new().spawn(fails("B::named"))));
    drop(case!(sites; "B::on" => Builder::new().spawn_on(fails("B::on"), handle)));
    drop(case!(sites; "B::on named" => new().spawn_on(fails("B::on named"), handle)));
    drop(case!(sites; "B::sb" => Builder::new().spawn_blocking(fail("B::sb"))));
    drop(case!(sites; "B::sb named" => new().spawn_blocking(fail("B::sb named"))));
    drop(case!(sites; "B::sb on" => new().spawn_blocking_on(fail("B::sb on"), handle)));
    let at = case!(sites; "B::at" => Location::caller());
    drop(Builder::new().spawned_at(at).spawn(fails("B::at")));
}

async fn sets(sites: &mut Sites, handle: &Handle) {
    let mut set = JoinSet::new();
    case!(sites; "S::spawn" => set.spawn(fails("S::spawn")));
    case!(sites; "S::on" => set.spawn_on(fails("S::on"), handle));
    case!(sites; "S::sb" => set.spawn_blocking(fail("S::sb")));
    case!(sites; "S::sb on" => set.spawn_blocking_on(fail("S::sb on"), handle));
    case!(sites; "S::extend" => set.extend([fails("S::extend")]));
    case!(sites; "SB::spawn" => set.build_task().spawn(fails("SB::spawn")).unwrap());
    case!(sites; "SB::on" => set.build_task().spawn_on(fails("SB::on"), handle).unwrap());
    case!(sites; "SB::sb" => set.build_task().spawn_blocking(fail("SB::sb")).unwrap());
    let task = set.build_task().name("named");
    case!(sites; "SB::sb on" => task.spawn_blocking_on(fail("SB::sb on"), handle).unwrap());
    let task = set.build_task();
    let at = case!(sites; "SB::at" => Location::caller());
    task.spawned_at(at).spawn(fails("SB::at")).unwrap();
    set.detach_all();
    let one = case!(sites; "S::from" => JoinSet::from_iter([fails("S::from")]));
    { one }.detach_all();
}

async fn local(sites: &mut Sites) {
    let set = LocalSet::new();
    drop(case!(sites; "L::spawn" => set.spawn_local(fails("L::spawn"))));
    let named = Builder::new().name("named");
    drop(case!(sites; "B::local on" => named.spawn_local_on(fails("B::local on"), &set)));
    let mut joined = JoinSet::new();
    case!(sites; "S::local on" => joined.spawn_local_on(fails("S::local on"), &set));
    let task = joined.build_task();
    drop(case!(sites; "SB::local on" => task.spawn_local_on(fails("SB::local on"), &set)));
    let inside = async {
        drop(case!(sites; "spawn_local" => task::spawn_local(fails("spawn_local"))));
        drop(case!(sites; "B::local" => Builder::new().spawn_local(fails("B::local"))));
        case!(sites; "S::local" => joined.spawn_local(fails("S::local")));
        let task = joined.build_task();
        case!(sites; "SB::local" => task.spawn_local(fails("SB::local")).unwrap());
    };
    set.run_until(inside).await;
    set.await;
    joined.detach_all();
}

async fn computations(sites: &mut Sites) {
    // Dropped before their end they would be cancelled.
    let one = case!(sites; "cpu::spawn" => cpu::spawn(fail("cpu::spawn")));
    until(|| one.is_finished()).await;
    let other = case!(sites; "cpu::try" => cpu::try_spawn(fail("cpu::try")).unwrap());
    until(|| other.is_finished()).await;
}

async fn callbacks(sites: &mut Sites) {
    let task = tapio::spawn(async {});
    case!(sites; "J::done" => task.on_complete(|_| panic_quietly("J::done")));
    case!(sites; "C::done" => cpu::spawn(|| ()).on_complete(|_| panic_quietly("C::done")));
    let (resolver, promise) = promise();
    case!(sites; "P::done" => promise.on_complete(|_| panic_quietly("P::done")));
    let _ = resolver.resolve(());
}

#[test]
fn children_of_a_group_are_known_by_the_line_that_spawned_them() {
    type Group = TaskGroup<(), ()>;
    type Outcome = Result<(), GroupError<()>>;

    fn compare(outcome: Outcome, line: u32) {
        let failure = outcome.unwrap_err();
        let Failure::Failed {
            task: Some(task), ..
        } = failure.first()
        else {
            panic!("{failure:?}");
        };
        assert_eq!(
            (task.spawned_at.file(), task.spawned_at.line()),
            (file!(), line)
        );
    }

    for (_, runtime) in runtimes() {
        runtime.block_on(async {
            let mut line = 0;
            let outcome = TaskGroup::scope(async |group: Group| {
                (line, _) = (line!(), group.spawn(async { Err(()) }));
                group.all().await;
                Ok(())
            });
            compare(outcome.await, line);
            let outcome = TaskGroup::scope(async |group: Group| {
                (line, _) = (line!(), group.spawn_blocking(|| Err(())));
                group.all().await;
                Ok(())
            });
            compare(outcome.await, line);
            let outcome = TaskGroup::scope(async |group: Group| {
                let spawner = group.spawner();
                (line, _) = (line!(), spawner.spawn(async { Err(()) }).is_ok());
                group.all().await;
                Ok(())
            });
            compare(outcome.await, line);
            let outcome = TaskGroup::scope(async |group: Group| {
                let place = group.reserve().await;
                (line, _) = (line!(), place.spawn(async { Err(()) }));
                group.all().await;
                Ok(())
            });
            compare(outcome.await, line);
        });
    }
}

/// A lock that is held until a report says by whom.
struct HeldUntilTold {
    lock: Mutex<()>,
    reports: Reports,
}

impl HeldUntilTold {
    fn new(name: String) -> HeldUntilTold {
        let reports = Reports::on(name);
        HeldUntilTold {
            lock: Mutex::named(reports.name("lock"), ()),
            reports,
        }
    }

    /// Holds it, on a thread that may block, while another waits.
    fn hold(&self) -> LockHeld {
        self.keep(self.lock.blocking_lock())
    }

    /// As `hold`, in a future.
    async fn hold_in_future(&self) -> LockHeld {
        let guard = self.lock.lock().await;
        // Its executor has nothing else to do.
        self.keep(guard)
    }

    fn keep(&self, guard: tapio::sync::MutexGuard<'_, ()>) -> LockHeld {
        thread::scope(|scope| {
            scope.spawn(|| drop(self.lock.blocking_lock()));
            let held = self.reports.held();
            drop(guard);
            held
        })
    }
}

#[track_caller]
fn blocked_on_here(held: &LockHeld, line: u32) {
    let LockUser::BlockOn(at) = held.holder else {
        panic!("{held}");
    };
    assert_eq!((at.file(), at.line()), (file!(), line));
}

#[test]
fn who_blocks_on_a_future_is_known_by_the_line_that_does() {
    for (kind, runtime) in runtimes() {
        let lock = |way: &str| HeldUntilTold::new(format!("block_on site {kind} {way}"));
        let one = lock("runtime");
        let (held, line) = (runtime.block_on(one.hold_in_future()), line!());
        blocked_on_here(&held, line);
        let handle = runtime.handle().clone();
        let one = lock("handle");
        let (held, line) = (handle.block_on(one.hold_in_future()), line!());
        blocked_on_here(&held, line);
        let set = LocalSet::new();
        let one = lock("set");
        let (held, line) = (set.block_on(&runtime, one.hold_in_future()), line!());
        blocked_on_here(&held, line);
    }
}

#[test]
fn a_groups_blocking_call_is_known_by_the_line_that_spawned_it() {
    for (kind, runtime) in runtimes() {
        let lock = Arc::new(HeldUntilTold::new(format!("group site {kind}")));
        let mut line = 0;
        let held = block_in_group(&runtime, &lock, &mut line);
        let LockUser::Task(task) = &held.holder else {
            panic!("{held}");
        };
        assert_eq!(
            (task.spawned_at.file(), task.spawned_at.line()),
            (file!(), line)
        );
    }
}

fn block_in_group(runtime: &Runtime, lock: &Arc<HeldUntilTold>, line: &mut u32) -> LockHeld {
    let scope = TaskGroup::scope(async |group: TaskGroup<LockHeld, ()>| {
        let lock = Arc::clone(lock);
        (*line, _) = (line!(), group.spawn_blocking(move || Ok(lock.hold())));
        Ok(group.next().await.expect("a child"))
    });
    runtime.block_on(scope).unwrap()
}
