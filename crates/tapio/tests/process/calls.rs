//! The guard looks at threads and changes nothing for them: whatever a task
//! calls returns what it returns anywhere else.

#![expect(unsafe_code, reason = "calls the C library, as foreign code does")]

use std::fs::File;
use std::hint::black_box;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{io, mem, ptr, thread};

use crate::child::in_child;
use crate::rig::Kind;

/// How long a call waits: some budgets.
const WAIT: Duration = Duration::from_millis(60);
static TIMESPEC: libc::timespec = libc::timespec {
    tv_sec: 0,
    tv_nsec: WAIT.as_nanos() as i64,
};
const ZERO: libc::timespec = libc::timespec {
    tv_sec: 0,
    tv_nsec: 0,
};
static TIMEVAL: libc::timeval = libc::timeval {
    tv_sec: 0,
    tv_usec: WAIT.as_micros() as i64,
};
const MILLIS: libc::c_int = WAIT.as_millis() as libc::c_int;

/// What a call returned, with the error number if that says so.
type Outcome = (i64, Option<i32>);
type Call = fn() -> Outcome;

fn outcome(returned: impl Into<i64>) -> Outcome {
    let returned = returned.into();
    let error = io::Error::last_os_error();
    (
        returned,
        (returned == -1).then(|| error.raw_os_error().unwrap()),
    )
}

/// Until when a call that waits for a time must wait.
fn deadline() -> libc::timespec {
    let mut now = ZERO;
    // SAFETY: writes to a local.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut now) };
    let nanos = now.tv_nsec + WAIT.as_nanos() as i64;
    libc::timespec {
        tv_sec: now.tv_sec + nanos / 1_000_000_000,
        tv_nsec: nanos % 1_000_000_000,
    }
}

/// A call of the C library.
macro_rules! call {
    ($call:expr) => {
        // SAFETY: what it is given is local or static, and as large as it says.
        unsafe { $call }
    };
}

/// Calls, by their names. Each waits for `WAIT` or longer.
const CALLS: &[(&str, Call)] = &[
    ("nanosleep", || {
        call!(outcome(libc::nanosleep(
            &raw const TIMESPEC,
            ptr::null_mut()
        )))
    }),
    ("clock_nanosleep", || {
        call!({
            let clock = libc::CLOCK_MONOTONIC;
            outcome(libc::clock_nanosleep(
                clock,
                0,
                &raw const TIMESPEC,
                ptr::null_mut(),
            ))
        })
    }),
    ("usleep", || {
        call!(outcome(libc::usleep(WAIT.as_micros() as u32)))
    }),
    ("sleep", || call!(outcome(libc::sleep(1)))),
    ("select", || {
        call!({
            let mut timeout = libc::timeval {
                tv_sec: 0,
                tv_usec: WAIT.as_micros() as i64,
            };
            let none = ptr::null_mut;
            outcome(libc::select(0, none(), none(), none(), &raw mut timeout))
        })
    }),
    ("pselect", || {
        call!({
            let none = ptr::null_mut;
            let (timeout, mask) = (&raw const TIMESPEC, ptr::null());
            outcome(libc::pselect(0, none(), none(), none(), timeout, mask))
        })
    }),
    ("poll", || {
        call!(outcome(libc::poll(ptr::null_mut(), 0, MILLIS)))
    }),
    ("ppoll", || {
        call!({
            let (timeout, mask) = (&raw const TIMESPEC, ptr::null());
            outcome(libc::ppoll(ptr::null_mut(), 0, timeout, mask))
        })
    }),
    ("epoll_wait", || {
        call!({
            let epoll = OwnedFd::from_raw_fd(libc::epoll_create1(libc::EPOLL_CLOEXEC));
            let mut events = [libc::epoll_event { events: 0, u64: 0 }];
            let descriptor = epoll.as_raw_fd();
            outcome(libc::epoll_wait(descriptor, events.as_mut_ptr(), 1, MILLIS))
        })
    }),
    ("sem_timedwait", || {
        call!({
            let mut semaphore = mem::zeroed::<libc::sem_t>();
            libc::sem_init(&raw mut semaphore, 0, 0);
            outcome(libc::sem_timedwait(&raw mut semaphore, &deadline()))
        })
    }),
    ("semtimedop", || {
        call!({
            let set = libc::semget(libc::IPC_PRIVATE, 1, 0o600);
            let mut take = libc::sembuf {
                sem_num: 0,
                sem_op: -1,
                sem_flg: 0,
            };
            let outcome = outcome(libc::syscall(
                libc::SYS_semtimedop,
                set,
                &raw mut take,
                1,
                &raw const TIMESPEC,
            ));
            libc::semctl(set, 0, libc::IPC_RMID);
            outcome
        })
    }),
    ("msgrcv", || {
        call!({
            let queue = libc::msgget(libc::IPC_PRIVATE, 0o600);
            let sender = after_a_wait(move || {
                let message: [i64; 2] = [1, 7];
                libc::msgsnd(queue, message.as_ptr().cast(), 8, 0);
            });
            let mut message = [0_i64; 2];
            let outcome = outcome(libc::msgrcv(queue, message.as_mut_ptr().cast(), 8, 0, 0) as i64);
            sender.join().unwrap();
            libc::msgctl(queue, libc::IPC_RMID, ptr::null_mut());
            outcome
        })
    }),
    ("sigtimedwait", || {
        call!({
            let mut set = mem::zeroed();
            libc::sigemptyset(&raw mut set);
            libc::sigaddset(&raw mut set, libc::SIGUSR2);
            let none = ptr::null_mut();
            outcome(libc::sigtimedwait(
                &raw const set,
                none,
                &raw const TIMESPEC,
            ))
        })
    }),
    ("futex", || {
        call!({
            let word = AtomicU32::new(0);
            let wait = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
            outcome(libc::syscall(
                libc::SYS_futex,
                word.as_ptr(),
                wait,
                0,
                &raw const TIMESPEC,
            ))
        })
    }),
    ("recv with a time limit", || {
        let (mut near, _far) = UnixStream::pair().unwrap();
        near.set_read_timeout(Some(WAIT)).unwrap();
        of_io(near.read(&mut [0]))
    }),
    ("send with a time limit", || {
        let (mut near, _far) = UnixStream::pair().unwrap();
        near.set_write_timeout(Some(WAIT)).unwrap();
        let full = loop {
            if let Err(error) = near.write(&[0; 65536]) {
                break error;
            }
        };
        of_io(Err(full))
    }),
    ("accept with a time limit", || {
        call!({
            let listener = listener();
            set_timeout(&listener, libc::SO_RCVTIMEO);
            let descriptor = listener.as_raw_fd();
            outcome(libc::accept4(
                descriptor,
                ptr::null_mut(),
                ptr::null_mut(),
                0,
            ))
        })
    }),
    ("connect with a time limit", || {
        call!({
            let listener = listener();
            libc::listen(listener.as_raw_fd(), 0);
            let address = listener.local_addr().unwrap();
            let name = address.as_abstract_name().unwrap();
            let mut raw = mem::zeroed::<libc::sockaddr_un>();
            raw.sun_family = libc::AF_UNIX as u16;
            for (to, from) in raw.sun_path[1..].iter_mut().zip(name) {
                *to = *from as libc::c_char;
            }
            let length = (size_of::<libc::sa_family_t>() + 1 + name.len()) as u32;
            let connect = || {
                let socket = libc::socket(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0);
                let socket = OwnedFd::from_raw_fd(socket);
                set_timeout(&socket, libc::SO_SNDTIMEO);
                let result = libc::connect(socket.as_raw_fd(), (&raw const raw).cast(), length);
                (outcome(result), socket)
            };
            // The first fills the queue.
            let _first = connect();
            connect().0
        })
    }),
    ("io_getevents", || {
        call!({
            let mut context = 0_u64;
            let made = libc::syscall(libc::SYS_io_setup, 1, &raw mut context);
            assert_eq!(made, 0, "io_setup: {}", io::Error::last_os_error());
            let mut events = [0_u64; 4];
            let (call, events, timeout) = (
                libc::SYS_io_getevents,
                events.as_mut_ptr(),
                &raw const TIMESPEC,
            );
            let outcome = outcome(libc::syscall(call, context, 1, 1, events, timeout));
            libc::syscall(libc::SYS_io_destroy, context);
            outcome
        })
    }),
    ("read of a pipe", || {
        let (mut reader, mut writer) = io::pipe().unwrap();
        let writer = after_a_wait(move || writer.write_all(&[7]).unwrap());
        let outcome = of_io(reader.read(&mut [0; 8]));
        writer.join().unwrap();
        outcome
    }),
    ("write to a pipe", || {
        let (mut reader, mut writer) = io::pipe().unwrap();
        let reader = after_a_wait(move || io::copy(&mut reader, &mut io::sink()).unwrap());
        let outcome = of_io(writer.write(&[0; 300 << 10]));
        drop(writer);
        reader.join().unwrap();
        outcome
    }),
    ("read of a terminal", || {
        call!({
            let (mut master, mut slave) = (0, 0);
            let none = ptr::null_mut::<libc::c_void>;
            let (name, how, size) = (none().cast(), none().cast(), none().cast());
            let opened = libc::openpty(&raw mut master, &raw mut slave, name, how, size);
            assert_eq!(opened, 0, "openpty: {}", io::Error::last_os_error());
            let (mut master, mut slave) = (File::from_raw_fd(master), File::from_raw_fd(slave));
            let writer = after_a_wait(move || {
                master.write_all(b"hello\n").unwrap();
                master
            });
            let outcome = of_io(slave.read(&mut [0; 8]));
            drop(writer.join().unwrap());
            outcome
        })
    }),
    ("read of inotify", || {
        call!({
            let directory = tempfile::tempdir().unwrap();
            let notify = libc::inotify_init1(libc::IN_CLOEXEC);
            let mut notify = File::from_raw_fd(notify);
            let path = std::ffi::CString::new(directory.path().to_str().unwrap()).unwrap();
            libc::inotify_add_watch(notify.as_raw_fd(), path.as_ptr(), libc::IN_CREATE);
            let file = directory.path().join("file");
            let creator = after_a_wait(move || File::create(file).unwrap());
            let outcome = of_io(notify.read(&mut [0; 512]));
            creator.join().unwrap();
            outcome
        })
    }),
    ("flock", || {
        call!({
            let directory = tempfile::tempdir().unwrap();
            let open = || File::create(directory.path().join("file")).unwrap();
            let (held, wanted) = (open(), open());
            libc::flock(held.as_raw_fd(), libc::LOCK_EX);
            let holder = after_a_wait(move || drop(held));
            let outcome = outcome(libc::flock(wanted.as_raw_fd(), libc::LOCK_EX));
            holder.join().unwrap();
            outcome
        })
    }),
    ("fcntl for a lock", || {
        call!({
            let directory = tempfile::tempdir().unwrap();
            let open = || File::create(directory.path().join("file")).unwrap();
            let (held, wanted) = (open(), open());
            let mut lock = mem::zeroed::<libc::flock>();
            lock.l_type = libc::F_WRLCK as i16;
            let wait = libc::F_OFD_SETLKW;
            libc::fcntl(held.as_raw_fd(), wait, &raw const lock);
            let holder = after_a_wait(move || drop(held));
            let outcome = outcome(libc::fcntl(wanted.as_raw_fd(), wait, &raw const lock));
            holder.join().unwrap();
            outcome
        })
    }),
    ("wait4", || {
        call!({
            #[expect(clippy::zombie_processes, reason = "the call below waits for it")]
            let child = Command::new("sleep").arg("0.06").spawn().unwrap();
            let (pid, mut status) = (child.id() as i32, 0);
            let waited = libc::wait4(pid, &raw mut status, 0, ptr::null_mut());
            // Which child it was differs.
            outcome(i32::from(waited != pid) + status)
        })
    }),
];

/// Has another thread do something while this one waits for it.
fn after_a_wait<R: Send + 'static>(
    f: impl FnOnce() -> R + Send + 'static,
) -> thread::JoinHandle<R> {
    thread::spawn(move || {
        thread::sleep(WAIT);
        f()
    })
}

fn of_io(result: io::Result<usize>) -> Outcome {
    match result {
        Ok(count) => (count as i64, None),
        Err(error) => (-1, error.raw_os_error()),
    }
}

fn listener() -> UnixListener {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("tapio guard_calls {} {number}", std::process::id());
    let address = SocketAddr::from_abstract_name(name).unwrap();
    UnixListener::bind_addr(&address).unwrap()
}

fn set_timeout(socket: &impl AsRawFd, option: libc::c_int) {
    let (value, size) = (
        (&raw const TIMEVAL).cast(),
        size_of::<libc::timeval>() as u32,
    );
    // SAFETY: reads a constant of that size.
    unsafe {
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, value, size);
    }
}

/// What this thread has used of a CPU.
fn cpu_time() -> Duration {
    let mut time = ZERO;
    // SAFETY: writes to a local.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn compute(time: Duration) {
    let begin = cpu_time();
    while black_box(cpu_time()) - begin < time {}
}

/// The same signals for all, as one program has them.
fn block_what_is_waited_for() {
    // SAFETY: changes the mask of this thread, which goes to those it starts.
    unsafe {
        let mut set = mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGUSR2);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut());
    }
}

/// All calls at the same time, each on a thread of its own.
fn each<R: Send + 'static>(f: impl Fn(&'static str, Call) -> R + Copy + Send + 'static) -> Vec<R> {
    let threads = CALLS.iter().map(|&(name, call)| {
        thread::spawn(move || {
            block_what_is_waited_for();
            f(name, call)
        })
    });
    let threads: Vec<_> = threads.collect();
    let outcomes = threads.into_iter().map(|thread| thread.join().unwrap());
    outcomes.collect()
}

/// Calls on a worker, after it has computed for a while, until the guard has
/// seen that.
fn outcomes(kind: Kind, budget: Duration, before: Duration, call: Call) -> Vec<Outcome> {
    let mut builder = kind.builder();
    builder.stall_budget(budget);
    let runtime = builder.build().unwrap();
    let mut outcomes = Vec::new();
    // On a busy machine it may be kept from looking.
    while runtime.metrics().num_stalls() == 0 {
        let task = runtime.spawn(async move {
            compute(before);
            let begin = Instant::now();
            (call(), begin.elapsed())
        });
        let (outcome, waited) = runtime.block_on(task).unwrap();
        assert!(waited >= WAIT.mul_f64(0.9), "{waited:?}, {outcome:?}");
        outcomes.push(outcome);
    }
    outcomes
}

#[test]
fn whatever_a_stuck_task_calls_returns_what_it_does_elsewhere() {
    const MS: Duration = Duration::from_millis(1);
    let name = "calls::whatever_a_stuck_task_calls_returns_what_it_does_elsewhere";
    in_child(name, || {
        let expected = each(|_, call| call());
        for kind in Kind::all() {
            // Where it computes first, the guard asks a thread that then waits.
            for (budget, before) in [(10 * MS, Duration::ZERO), (10 * MS, 10 * MS), (MS, MS)] {
                let all = each(move |name, call| (name, outcomes(kind, budget, before, call)));
                for ((name, outcomes), expected) in all.into_iter().zip(&expected) {
                    for outcome in outcomes {
                        assert_eq!(outcome, *expected, "{name}, {kind}");
                    }
                }
            }
        }
    });
}

/// At every moment of the guard's, a thread that has computed begins to wait.
#[test]
fn a_thread_that_computes_and_then_sleeps_is_never_woken() {
    const ROUNDS: u32 = 300;
    let name = "calls::a_thread_that_computes_and_then_sleeps_is_never_woken";
    in_child(name, || {
        for kind in Kind::all() {
            let mut builder = kind.builder();
            builder.stall_budget(Duration::from_millis(2));
            let runtime = builder.build().unwrap();
            let task = runtime.spawn(async {
                for round in 0..ROUNDS {
                    // A poll of its own.
                    tapio::task::yield_now().await;
                    compute(Duration::from_micros(u64::from(round * 7919 % 4_000)));
                    let short = libc::timespec {
                        tv_sec: 0,
                        tv_nsec: 1_000_000,
                    };
                    // SAFETY: reads a local.
                    let slept =
                        outcome(unsafe { libc::nanosleep(&raw const short, ptr::null_mut()) });
                    assert_eq!(slept, (0, None), "round {round}");
                }
            });
            runtime.block_on(task).unwrap();
            assert!(runtime.metrics().num_stalls() >= 1, "{kind}");
        }
    });
}
