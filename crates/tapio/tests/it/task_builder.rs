//! `task::Builder`: reports call tasks by their names.

use std::future::pending;

use tapio::task::{self, Builder, Id, JoinHandle, JoinSet, LocalSet};

use crate::reports::{Reports, panic_quietly};
use crate::support::{runtimes, until};

fn id_of<T>(handle: std::io::Result<JoinHandle<T>>) -> Id {
    handle.unwrap().id()
}

#[test]
fn a_lost_panic_has_the_name_of_its_task_however_that_was_spawned() {
    let reports = Reports::listen();
    for (kind, runtime) in runtimes() {
        let named = |name| Builder::new().name(name);
        let mut ids = vec![];
        ids.push((
            "on",
            id_of(named("on").spawn_on(async { panic_quietly("") }, runtime.handle())),
        ));
        let call = named("call").spawn_blocking_on(|| panic_quietly(""), runtime.handle());
        ids.push(("call", id_of(call)));
        let set = LocalSet::new();
        let local = named("outside").spawn_local_on(async { panic_quietly("") }, &set);
        ids.push(("outside", id_of(local)));
        set.block_on(&runtime, async {
            ids.push((
                "task",
                id_of(named("task").spawn(async { panic_quietly("") })),
            ));
            let local = named("local").spawn_local(async { panic_quietly("") });
            ids.push(("local", id_of(local)));
            let call = named("blocking").spawn_blocking(|| panic_quietly(""));
            ids.push(("blocking", id_of(call)));
            let mut tasks = JoinSet::new();
            let member = tasks.build_task().name("member");
            let member = member.spawn(async { panic_quietly("") }).unwrap();
            let member_call = tasks.build_task().name("member call");
            let member_call = member_call.spawn_blocking(|| panic_quietly("")).unwrap();
            until(|| member.is_finished() && member_call.is_finished()).await;
            ids.extend([("member", member.id()), ("member call", member_call.id())]);
            drop(tasks);
            until(|| ids.iter().all(|(_, id)| !reports.panics_of(*id).is_empty())).await;
        });
        drop(runtime);
        for (name, id) in ids {
            let panics = reports.panics_of(id);
            assert_eq!(panics.len(), 1, "{kind}, {name}");
            let task = &panics[0].task;
            assert_eq!(task.name.as_deref(), Some(name), "{kind}");
            assert!(
                task.spawned_at.file().ends_with("task_builder.rs"),
                "{task}"
            );
            assert!(
                panics[0].to_string().contains(&format!("`{name}`")),
                "{}",
                panics[0]
            );
        }
    }
}

#[test]
fn a_builder_without_a_name_spawns_what_has_none() {
    let reports = Reports::listen();
    for (kind, runtime) in runtimes() {
        let id = runtime.block_on(async {
            let handle = Builder::new().spawn(async { 1 }).unwrap();
            assert_eq!(handle.await.unwrap(), 1);
            let call = Builder::new().spawn_blocking(|| 2).unwrap();
            assert_eq!(call.await.unwrap(), 2);
            let lost = Builder::new()
                .spawn(async { panic_quietly("lost") })
                .unwrap();
            let id = lost.id();
            drop(lost);
            until(|| runtime.metrics().num_alive_tasks() == 0).await;
            id
        });
        assert_eq!(reports.panics_of(id)[0].task.name, None, "{kind}");
    }
}

#[test]
fn named_tasks_are_joined_aborted_and_shut_down_like_others() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let sum = Builder::new().name("sum").spawn(async {
                task::yield_now().await;
                3
            });
            assert_eq!(sum.unwrap().await.unwrap(), 3, "{kind}");
            let waits = Builder::new().name("waits").spawn(pending::<()>());
            let waits = waits.unwrap();
            waits.abort();
            assert!(waits.await.unwrap_err().is_cancelled(), "{kind}");
        });
        let left = Builder::new().name("left");
        let left = left.spawn_on(pending::<()>(), runtime.handle()).unwrap();
        drop(runtime);
        assert!(
            futures::executor::block_on(left)
                .unwrap_err()
                .is_cancelled()
        );
    }
}
