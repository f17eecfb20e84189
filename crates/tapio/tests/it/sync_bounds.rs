//! Auto traits of locks and guards are those that tokio's have.

use std::cell::Cell;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::rc::Rc;
use std::sync::Arc;

use tapio::sync::{
    MappedMutexGuard, Mutex, MutexGuard, OwnedMappedMutexGuard, OwnedMutexGuard,
    OwnedRwLockMappedWriteGuard, OwnedRwLockReadGuard, OwnedRwLockWriteGuard, OwnedSemaphorePermit,
    RwLock, RwLockMappedWriteGuard, RwLockReadGuard, RwLockWriteGuard, Semaphore, SemaphorePermit,
};

/// Neither `Send` nor `Sync`; `Send` alone; both.
type Nn = Rc<u8>;
type Yn = Cell<u8>;
type Yy = u8;

/// Whether a type has an auto trait, found by which of two methods of the
/// same name a call means: an inherent one goes before a trait's.
macro_rules! has {
    ($ty:ty: $bound:path) => {{
        struct Probe<T: ?Sized>(std::marker::PhantomData<T>);
        #[allow(dead_code)]
        trait Otherwise {
            fn has(&self) -> bool {
                false
            }
        }
        impl<T: ?Sized> Otherwise for Probe<T> {}
        #[allow(dead_code)]
        impl<T: ?Sized + $bound> Probe<T> {
            fn has(&self) -> bool {
                true
            }
        }
        Probe::<$ty>(std::marker::PhantomData).has()
    }};
}

/// `Send`, `Sync` and `Unpin` of ours are those of tokio's type.
macro_rules! same {
    ($($name:ident<$($arg:tt),*>;)*) => {$(
        assert_eq!(
            (
                has!($name<$($arg),*>: Send),
                has!($name<$($arg),*>: Sync),
                has!($name<$($arg),*>: Unpin),
            ),
            (
                has!(tokio::sync::$name<$($arg),*>: Send),
                has!(tokio::sync::$name<$($arg),*>: Sync),
                has!(tokio::sync::$name<$($arg),*>: Unpin),
            ),
            stringify!($name<$($arg),*>),
        );
    )*};
}

#[test]
fn threads_may_do_with_locks_and_guards_what_they_may_with_tokios() {
    same! {
        Mutex<Nn>; Mutex<Yn>; Mutex<Yy>;
        MutexGuard<'static, Nn>; MutexGuard<'static, Yn>; MutexGuard<'static, Yy>;
        MappedMutexGuard<'static, Nn>; MappedMutexGuard<'static, Yn>;
        MappedMutexGuard<'static, Yy>;
        OwnedMutexGuard<Nn>; OwnedMutexGuard<Yn>; OwnedMutexGuard<Yy>;
        OwnedMappedMutexGuard<Nn, Nn>; OwnedMappedMutexGuard<Nn, Yy>;
        OwnedMappedMutexGuard<Yn, Yn>; OwnedMappedMutexGuard<Yn, Yy>;
        OwnedMappedMutexGuard<Yy, Nn>; OwnedMappedMutexGuard<Yy, Yn>;
        OwnedMappedMutexGuard<Yy, Yy>;
        RwLock<Nn>; RwLock<Yn>; RwLock<Yy>;
        RwLockReadGuard<'static, Nn>; RwLockReadGuard<'static, Yn>; RwLockReadGuard<'static, Yy>;
        RwLockWriteGuard<'static, Nn>; RwLockWriteGuard<'static, Yn>;
        RwLockWriteGuard<'static, Yy>;
        RwLockMappedWriteGuard<'static, Nn>; RwLockMappedWriteGuard<'static, Yn>;
        RwLockMappedWriteGuard<'static, Yy>;
        OwnedRwLockReadGuard<Nn, Nn>; OwnedRwLockReadGuard<Yn, Yy>; OwnedRwLockReadGuard<Yy, Yn>;
        OwnedRwLockReadGuard<Yy, Yy>;
        OwnedRwLockWriteGuard<Nn>; OwnedRwLockWriteGuard<Yn>; OwnedRwLockWriteGuard<Yy>;
        OwnedRwLockMappedWriteGuard<Nn, Nn>; OwnedRwLockMappedWriteGuard<Yn, Yy>;
        OwnedRwLockMappedWriteGuard<Yy, Yn>; OwnedRwLockMappedWriteGuard<Yy, Yy>;
        SemaphorePermit<'static>;
    }
    assert!(has!(Semaphore: Send) && has!(Semaphore: Sync) && has!(Semaphore: Unpin));
    assert!(has!(OwnedSemaphorePermit: Send) && has!(OwnedSemaphorePermit: Sync));
}

#[test]
fn panics_may_pass_through_locks_as_through_tokios() {
    macro_rules! same {
        ($($name:ident $(<$arg:ty>)?;)*) => {$(
            assert_eq!(
                (has!($name$(<$arg>)?: UnwindSafe), has!($name$(<$arg>)?: RefUnwindSafe)),
                (
                    has!(tokio::sync::$name$(<$arg>)?: UnwindSafe),
                    has!(tokio::sync::$name$(<$arg>)?: RefUnwindSafe),
                ),
                stringify!($name),
            );
        )*};
    }
    same! {
        Mutex<u8>; RwLock<u8>; Semaphore; OwnedMutexGuard<u8>; OwnedRwLockReadGuard<u8>;
        OwnedRwLockWriteGuard<u8>; OwnedSemaphorePermit;
    }
}

#[test]
fn futures_may_go_to_other_threads() {
    fn may_go<T: Send + Sync>(_: T) {}
    let (mutex, lock) = (Arc::new(Mutex::new(0)), Arc::new(RwLock::new(0)));
    let semaphore = Arc::new(Semaphore::new(1));
    may_go(mutex.lock());
    may_go(Arc::clone(&mutex).lock_owned());
    may_go(lock.read());
    may_go(lock.write());
    may_go(Arc::clone(&lock).read_owned());
    may_go(Arc::clone(&lock).write_owned());
    may_go(semaphore.acquire());
    may_go(semaphore.acquire_many(1));
    may_go(Arc::clone(&semaphore).acquire_owned());
}

#[test]
fn locks_of_unsized_values_can_be_made() {
    let mutex: Arc<Mutex<dyn Fn() -> u8 + Send>> = Arc::new(Mutex::new(|| 7));
    assert_eq!((mutex.try_lock().unwrap())(), 7);
    let lock: Box<RwLock<[u8]>> = Box::new(RwLock::new([1, 2]));
    assert_eq!(lock.try_read().unwrap().len(), 2);
    static CONSTANT: Mutex<u8> = Mutex::const_named("constant", 3);
    assert_eq!(*CONSTANT.try_lock().unwrap(), 3);
}
