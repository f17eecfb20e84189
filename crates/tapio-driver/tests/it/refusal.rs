//! Whatever refuses a ring, and for whatever reason, a driver opens that works,
//! and says what was refused. The kernel refuses for real here: by filters, by
//! limits, and in processes of their own where they bind a whole process.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::thread;
use std::time::{Duration, Instant};

use libc::{SYS_epoll_create1, SYS_epoll_pwait2, SYS_eventfd2, c_long};
use libc::{SYS_io_uring_enter, SYS_io_uring_register, SYS_io_uring_setup};
use rustix::process::{Resource, getrlimit, setrlimit};
use tapio_driver::{Ability, Direction, DriverKind, Limit, Options, open};

use crate::child::{in_child, in_children};
use crate::count::descriptors;
use crate::limits_of_process::{give_up_root, limit};
use crate::rig::{LANES, Line, Rig, has_ring, log_skip, options_for};
use crate::seccomp::refuse;

/// Opens a driver under a filter, makes sure that it works, and gives back why
/// it is no ring.
fn refusal_under(calls: &'static [c_long], errno: i32, options: Options) -> String {
    thread::spawn(move || {
        refuse(calls, errno);
        let chosen = open(&options).expect("a driver opens all the same");
        assert_eq!(chosen.driver.kind(), DriverKind::Poll);
        let why = chosen.refusal.expect("it says why").to_string();
        assert_works(&mut Rig::new(chosen.driver));
        why
    })
    .join()
    .expect("the driver works")
}

fn assert_works(rig: &mut Rig) {
    for lane in LANES {
        let mut line = Line::reading(rig, lane);
        line.send();
        rig.park_until("a byte is reported", || line.is_ready(Direction::Read));
        line.close();
    }
    let deadline = Instant::now() + Duration::from_millis(2);
    while Instant::now() < deadline {
        rig.park(Limit::Until(deadline));
    }
}

#[test]
fn a_filter_may_refuse_any_step_in_any_way() {
    let steps: [(&'static [c_long], &str); 3] = [
        (&[SYS_io_uring_setup], "io_uring_setup"),
        (&[SYS_io_uring_register], "io_uring_register"),
        (&[SYS_io_uring_enter], "io_uring_enter"),
    ];
    for errno in [libc::EPERM, libc::ENOSYS, libc::EACCES] {
        for (calls, step) in steps {
            if step != "io_uring_setup" && !has_ring() {
                continue;
            }
            for prefer in [None, Some(DriverKind::Ring)] {
                let options = Options {
                    prefer,
                    ..Options::default()
                };
                let why = refusal_under(calls, errno, options);
                assert!(why.contains(step), "{why}");
                assert!(why.contains(&format!("(os error {errno})")), "{why}");
            }
        }
    }
}

#[test]
fn a_kernel_that_knows_not_all_flags_lacks_an_ability() {
    let why = refusal_under(&[SYS_io_uring_setup], libc::EINVAL, Options::default());
    assert!(why.contains("defer-taskrun"), "{why}");
}

#[test]
fn descriptors_that_are_refused_are_named() {
    if !has_ring() {
        return;
    }
    let why = refusal_under(&[SYS_io_uring_setup], libc::EMFILE, Options::default());
    assert!(why.contains("io_uring_setup: Too many open files"), "{why}");
    let error = thread::spawn(|| {
        refuse(&[SYS_eventfd2, SYS_epoll_create1], libc::EMFILE);
        open(&Options::default()).expect_err("nothing is left to open")
    });
    let error = error.join().expect("an error is no panic").to_string();
    for word in ["io_uring", "epoll", "eventfd", "Too many open files"] {
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn each_ability_may_be_missing() {
    for ability in Ability::ALL {
        let mut options = Options::default();
        options.without.push(ability);
        let chosen = open(&options).expect("a driver opens all the same");
        assert_eq!(chosen.driver.kind(), DriverKind::Poll);
        let why = chosen.refusal.expect("it says why").to_string();
        assert!(why.contains(ability.name()), "{why}");
        assert_works(&mut Rig::new(chosen.driver));
        assert_eq!(ability.name().parse(), Ok(ability));
    }
}

#[test]
fn readiness_that_was_asked_for_is_no_refusal() {
    let chosen = open(&options_for(DriverKind::Poll)).expect("a driver opens");
    assert_eq!(chosen.refusal, None);
    // Nor does it try a ring: that would be refused here.
    let kind = thread::spawn(|| {
        refuse(&[SYS_io_uring_setup], libc::EPERM);
        let chosen = open(&options_for(DriverKind::Poll)).expect("a driver opens");
        (chosen.driver.kind(), chosen.refusal)
    });
    assert_eq!(kind.join().expect("no panic"), (DriverKind::Poll, None));
}

#[test]
fn long_waits_need_no_new_system_call() {
    // Older kernels and many a filter do not know it.
    let woken = thread::spawn(|| {
        refuse(&[SYS_epoll_pwait2], libc::ENOSYS);
        let mut rig = Rig::open(DriverKind::Poll);
        rig.remote.unpark();
        rig.park(Limit::Until(Instant::now() + Duration::from_secs(1 << 32)));
        let line = Line::reading(&rig, LANES[0]);
        let waker = {
            let mut far = line.far.try_clone().expect("a descriptor");
            thread::spawn(move || far.write_all(b"x"))
        };
        let limit = Instant::now() + Duration::from_secs(1 << 32);
        while !line.is_ready(Direction::Read) {
            rig.park(Limit::Until(limit));
        }
        waker.join().expect("the waker lives").expect("and writes");
    });
    woken.join().expect("every wait succeeds");
}

/// Limits the numbers that descriptors may have.
fn soft_limit(numbers: u64) {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(numbers);
    setrlimit(Resource::Nofile, limit).expect("below the hard limit");
}

#[test]
fn as_few_descriptors_as_may_be() {
    in_child("refusal::as_few_descriptors_as_may_be", || {
        // Numbers are given out lowest first: all below `first` are taken.
        let mut taken = Vec::new();
        let first = loop {
            let file = fs::File::open("/dev/null").expect("it is always there");
            let number = file.as_raw_fd() as u64;
            if number > 300 {
                break number;
            }
            taken.push(file);
        };
        let before = descriptors();
        let kinds: Vec<_> = (0..8)
            .map(|room| {
                soft_limit(first + room);
                let opened = open(&Options::default());
                match opened {
                    Ok(mut chosen) => {
                        chosen.driver.occupy().expect("no descriptor is needed");
                        Some(chosen.driver.kind())
                    }
                    Err(error) => {
                        let text = error.to_string();
                        assert!(text.contains("Too many open files"), "{text}");
                        assert!(
                            text.contains("io_uring") && text.contains("epoll"),
                            "{text}"
                        );
                        None
                    }
                }
            })
            .collect();
        soft_limit(first + 100);
        assert_eq!(descriptors(), before, "{kinds:?}");
        // First nothing, then readiness, then whatever is best.
        assert_eq!(kinds[..2], [None, None]);
        assert_eq!(kinds[2], Some(DriverKind::Poll));
        let best = if has_ring() {
            DriverKind::Ring
        } else {
            DriverKind::Poll
        };
        assert_eq!(kinds[7], Some(best));
    });
}

/// Entries of this process's rings, as the kernel tells them.
fn ring_entries() -> Vec<u32> {
    let list = fs::read_dir("/proc/self/fdinfo").expect("/proc is mounted");
    list.flatten()
        .filter_map(|entry| {
            let text = fs::read_to_string(entry.path()).ok()?;
            let line = text.lines().find(|line| line.starts_with("SqMask:"))?;
            let mask = line.rsplit("0x").next()?.trim();
            Some(u32::from_str_radix(mask, 16).expect("a mask") + 1)
        })
        .collect()
}

/// Linux 5.12 to 6.13 charge rings to the control group and not to the limit
/// of locked memory; 6.18 charges that limit, of all but root.
fn is_charged() -> bool {
    thread::spawn(|| open(&Options::default()).expect("a driver").driver.kind())
        .join()
        .expect("no panic")
        == DriverKind::Poll
}

#[test]
fn no_locked_memory_means_no_ring() {
    let name = "refusal::no_locked_memory_means_no_ring";
    in_child(name, || {
        if !has_ring() {
            return;
        }
        limit(Resource::Memlock, 0);
        give_up_root();
        if !is_charged() {
            return log_skip(name, "this kernel does not charge rings to RLIMIT_MEMLOCK");
        }
        let chosen = open(&Options::default()).expect("a driver opens all the same");
        let why = chosen.refusal.expect("it says why").to_string();
        assert!(
            why.contains("io_uring_setup: Cannot allocate memory"),
            "{why}"
        );
        assert_works(&mut Rig::new(chosen.driver));
    });
}

#[test]
fn little_locked_memory_means_small_rings_and_then_none() {
    let name = "refusal::little_locked_memory_means_small_rings_and_then_none";
    in_child(name, || {
        if !has_ring() {
            return;
        }
        // A ring of 256 entries takes 9 pages, one of 64 takes 3 and one of 8
        // takes 2. What a probe took comes back a moment after it ended.
        limit(Resource::Memlock, 16 * 4096);
        give_up_root();
        let mut rigs = Vec::new();
        let refusal = loop {
            let chosen = open(&Options::default()).expect("a driver opens all the same");
            let mut rig = Rig::new(chosen.driver);
            assert_works(&mut rig);
            rigs.push(rig);
            if let Some(refusal) = chosen.refusal {
                break refusal.to_string();
            }
            if rigs.len() > 20 {
                return log_skip(name, "this kernel does not charge rings to RLIMIT_MEMLOCK");
            }
        };
        assert!(
            refusal.contains("io_uring_setup: Cannot allocate memory"),
            "{refusal}"
        );
        let entries = ring_entries();
        assert!(
            entries.len() > 1,
            "several rings share what there is: {entries:?}"
        );
        assert!(entries.iter().any(|entries| *entries < 256), "{entries:?}");
        assert!(entries.iter().all(|entries| *entries >= 8), "{entries:?}");
        drop(rigs);
        assert_eq!(ring_entries(), []);
    });
}

const DRIVER: &str = "TAPIO_DRIVER";
const WITHOUT: &str = "TAPIO_RING_WITHOUT";

/// Runs `test` in a process with these values of both variables.
fn with_variables(name: &str, driver: Option<&[u8]>, without: Option<&[u8]>, test: impl FnOnce()) {
    let values = [(DRIVER, driver), (WITHOUT, without)];
    let values = values.map(|(name, value)| (name, value.map(OsStr::from_bytes)));
    in_children(name, &[&values], test);
}

fn assert_named(variable: &str) {
    let mut options = Options::default();
    let error = options.read_environment().expect_err("it makes no sense");
    assert!(error.to_string().starts_with(variable), "{error}");
}

#[test]
fn a_driver_that_is_none_is_an_error() {
    let name = "refusal::a_driver_that_is_none_is_an_error";
    with_variables(name, Some(b"kqueue"), None, || assert_named(DRIVER));
}

#[test]
fn an_ability_that_is_none_is_an_error() {
    let name = "refusal::an_ability_that_is_none_is_an_error";
    with_variables(name, None, Some(b"poll-add,magic"), || {
        assert_named(WITHOUT)
    });
}

#[test]
fn bytes_that_are_no_text_are_an_error() {
    let name = "refusal::bytes_that_are_no_text_are_an_error";
    with_variables(name, Some(b"\xff"), None, || assert_named(DRIVER));
}

#[test]
fn variables_choose_a_driver() {
    let name = "refusal::variables_choose_a_driver";
    with_variables(
        name,
        Some(b"poll"),
        Some(b"poll-add,,multishot-poll"),
        || {
            let mut options = Options::default();
            options.read_environment().expect("both make sense");
            assert_eq!(options.prefer, Some(DriverKind::Poll));
            assert_eq!(options.without, [Ability::PollAdd, Ability::MultishotPoll]);
            // What the program itself says comes first.
            let mut said = options_for(DriverKind::Ring);
            said.read_environment().expect("both make sense");
            assert_eq!(said.prefer, Some(DriverKind::Ring));
            let chosen = open(&said).expect("a driver opens all the same");
            let why = chosen.refusal.expect("it says why").to_string();
            assert!(why.contains("poll-add"), "{why}");
        },
    );
}
