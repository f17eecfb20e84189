//! Whatever refuses a ring, and for whatever reason, a driver works all the
//! same, and what was refused is said. The kernel refuses for real here: by filters, by
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
use crate::rig::{Line, Rig, log_skip};
use crate::seccomp::{kill_on, refuse};

/// Asks for a ring under a filter, makes sure that a driver works there all
/// the same, and gives back why there is no ring.
fn refusal_under(calls: &'static [c_long], errno: i32, options: Options) -> String {
    thread::spawn(move || {
        refuse(calls, errno);
        let (kind, refusal) = options.operations();
        assert_eq!(kind, DriverKind::Poll);
        assert_works(&mut Rig::open());
        refusal.expect("it says why").to_string()
    })
    .join()
    .expect("the driver works")
}

/// Whether this machine gives a ring. Where it does not, what needs one is
/// skipped and said to be.
fn has_ring(name: &str) -> bool {
    let (_, refusal) = options_for(DriverKind::Ring).operations();
    if let Some(refusal) = &refusal {
        log_skip(name, &format!("no ring here: {refusal}"));
    }
    refusal.is_none()
}

fn options_for(kind: DriverKind) -> Options {
    Options {
        prefer: Some(kind),
        ..Options::default()
    }
}

fn assert_works(rig: &mut Rig) {
    let mut line = Line::reading(rig);
    line.send();
    rig.park_until("a byte is reported", || line.is_ready(Direction::Read));
    line.close();
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
            if step != "io_uring_setup" && !has_ring("refusal::a_filter_may_refuse_any_step") {
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
fn a_ring_that_is_given_says_so_and_is_gone_afterwards() {
    in_child(
        "refusal::a_ring_that_is_given_says_so_and_is_gone_afterwards",
        || {
            if !has_ring("refusal::a_ring_that_is_given") {
                return;
            }
            let before = descriptors();
            for prefer in [None, Some(DriverKind::Ring)] {
                let options = Options {
                    prefer,
                    ..Options::default()
                };
                assert_eq!(options.operations(), (DriverKind::Ring, None));
                assert_eq!(descriptors(), before);
            }
        },
    );
}

#[test]
fn each_ability_may_be_missing() {
    for ability in Ability::ALL {
        let mut options = Options::default();
        options.without.push(ability);
        let (kind, refusal) = options.operations();
        assert_eq!(kind, DriverKind::Poll);
        let why = refusal.expect("it says why").to_string();
        assert!(why.contains(ability.name()), "{why}");
        assert_eq!(ability.name().parse(), Ok(ability));
    }
}

#[test]
fn readiness_that_was_asked_for_is_no_refusal() {
    let asked = options_for(DriverKind::Poll).operations();
    assert_eq!(asked, (DriverKind::Poll, None));
    // Nor is a ring tried: that would be refused here.
    let asked = thread::spawn(|| {
        refuse(&[SYS_io_uring_setup], libc::EPERM);
        options_for(DriverKind::Poll).operations()
    });
    let asked = asked.join().expect("no panic");
    assert_eq!(asked, (DriverKind::Poll, None));
}

#[test]
fn a_driver_needs_no_ring() {
    in_child("refusal::a_driver_needs_no_ring", || {
        let calls = [
            SYS_io_uring_setup,
            SYS_io_uring_register,
            SYS_io_uring_enter,
        ];
        // A driver that used one would die here.
        kill_on(&calls);
        assert_works(&mut Rig::open());
    });
}

#[test]
fn descriptors_that_are_refused_are_named() {
    let error = thread::spawn(|| {
        refuse(&[SYS_eventfd2, SYS_epoll_create1], libc::EMFILE);
        open().expect_err("nothing is left to open")
    });
    let error = error.join().expect("an error is no panic").to_string();
    for word in ["no driver", "eventfd", "Too many open files"] {
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn long_waits_need_no_new_system_call() {
    // Older kernels and many a filter do not know it.
    let woken = thread::spawn(|| {
        refuse(&[SYS_epoll_pwait2], libc::ENOSYS);
        let mut rig = Rig::open();
        rig.remote.unpark();
        rig.park(Limit::Until(Instant::now() + Duration::from_secs(1 << 32)));
        let line = Line::reading(&rig);
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
        let opened: Vec<_> = (0..4)
            .map(|room| {
                soft_limit(first + room);
                match open() {
                    Ok(_driver) => true,
                    Err(error) => {
                        let text = error.to_string();
                        assert!(text.contains("Too many open files"), "{text}");
                        false
                    }
                }
            })
            .collect();
        // With a ring's descriptor refused, the reason is named.
        soft_limit(first);
        let (_, refusal) = Options::default().operations();
        let why = refusal.expect("no descriptor is left").to_string();
        assert!(why.contains("Too many open files"), "{why}");
        soft_limit(first + 100);
        assert_eq!(descriptors(), before);
        // An `epoll` and an alarm, and not one more.
        assert_eq!(opened, [false, false, true, true]);
    });
}

/// Linux 5.12 to 6.13 charge rings to the control group and not to the limit
/// of locked memory; 6.18 charges that limit, of all but root.
#[test]
fn no_locked_memory_means_no_ring() {
    let name = "refusal::no_locked_memory_means_no_ring";
    in_child(name, || {
        if !has_ring(name) {
            return;
        }
        limit(Resource::Memlock, 0);
        give_up_root();
        let (kind, refusal) = Options::default().operations();
        if kind == DriverKind::Ring {
            return log_skip(name, "this kernel does not charge rings to RLIMIT_MEMLOCK");
        }
        let why = refusal.expect("it says why").to_string();
        assert!(
            why.contains("io_uring_setup: Cannot allocate memory"),
            "{why}"
        );
        assert_works(&mut Rig::open());
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
    with_variables(name, None, Some(b"read,magic"), || assert_named(WITHOUT));
}

#[test]
fn bytes_that_are_no_text_are_an_error() {
    let name = "refusal::bytes_that_are_no_text_are_an_error";
    with_variables(name, Some(b"\xff"), None, || assert_named(DRIVER));
}

#[test]
fn variables_choose_a_driver() {
    let name = "refusal::variables_choose_a_driver";
    with_variables(name, Some(b"poll"), Some(b"read,,no-drop"), || {
        let mut options = Options::default();
        options.read_environment().expect("both make sense");
        assert_eq!(options.prefer, Some(DriverKind::Poll));
        assert_eq!(options.without, [Ability::Read, Ability::NoDrop]);
        // What the program itself says comes first.
        let mut said = options_for(DriverKind::Ring);
        said.read_environment().expect("both make sense");
        assert_eq!(said.prefer, Some(DriverKind::Ring));
        let (_, refusal) = said.operations();
        let why = refusal.expect("it says why").to_string();
        assert!(why.contains("read"), "{why}");
    });
}
