//! A resolver in the shape that an API wants its callback in.

#![expect(unsafe_code, reason = "C code keeps a resolver as an untyped pointer")]

use std::ffi::c_void;

use tapio_driver::lock::Mutex;

use super::Resolver;

impl<T> Resolver<T> {
    /// A function that resolves the promise, for an API that calls back once.
    ///
    /// It says nothing of a value that nobody wants.
    pub fn into_callback(self) -> impl FnOnce(T) {
        move |value| drop(self.resolve(value))
    }

    /// A function that resolves the promise when it is first called, for an
    /// API that takes an `Fn`, from however many threads it calls. Values of
    /// later calls are dropped.
    pub fn into_fn(self) -> impl Fn(T) {
        let first = Mutex::new(Some(self));
        move |value| {
            let resolver = first.lock().take();
            if let Some(resolver) = resolver {
                drop(resolver.resolve(value));
            }
        }
    }

    /// The resolver as a pointer, for a C API that takes a function and a
    /// pointer for its user. [`Resolver::from_raw`], in the function, makes it
    /// a resolver again.
    ///
    /// If the API never calls back, the promise is never resolved, nor broken,
    /// and the resolver's memory is lost.
    ///
    /// # Examples
    /// ```
    /// use std::ffi::{c_int, c_void};
    /// use tapio::promise::{Resolver, from_callback};
    ///
    /// extern "C" fn on_answer(user: *mut c_void, answer: c_int) {
    ///     // SAFETY: `user` comes from `into_raw`, below, and the API calls once.
    ///     let resolver = unsafe { Resolver::<c_int>::from_raw(user) };
    ///     let _ = resolver.resolve(answer);
    /// }
    /// # unsafe extern "C" fn ask(then: extern "C" fn(*mut c_void, c_int), user: *mut c_void) {
    /// #     then(user, 42);
    /// # }
    ///
    /// # tapio::runtime::Runtime::new().unwrap().block_on(async {
    /// let answer = from_callback(|resolver: Resolver<c_int>| {
    ///     // SAFETY: `ask` wants a function and the pointer that it is given.
    ///     unsafe { ask(on_answer, resolver.into_raw()) }
    /// });
    /// assert_eq!(answer.await?, 42);
    /// # Ok::<_, tapio::promise::Broken>(())
    /// # }).unwrap();
    /// ```
    #[must_use = "the promise is never resolved unless `from_raw` is called"]
    pub fn into_raw(self) -> *mut c_void {
        Box::into_raw(Box::new(self)).cast()
    }

    /// The resolver behind a pointer.
    ///
    /// # Safety
    /// `pointer` comes from [`Resolver::into_raw`] of a `Resolver<T>` with the
    /// same `T`, and this is the first call with it. When another thread calls
    /// than the one that made it, `T` is `Send`.
    pub unsafe fn from_raw(pointer: *mut c_void) -> Resolver<T> {
        // SAFETY: by the caller's promise it is the pointer of a box of this
        // type, and nobody else has it any more.
        *unsafe { Box::from_raw(pointer.cast()) }
    }
}

impl<T, E> Resolver<Result<T, E>> {
    /// A function that resolves the promise, for an API that calls back with
    /// an error or a value, as Node's do. The error counts when there are
    /// both; with neither, the promise is broken.
    pub fn into_node_callback(self) -> impl FnOnce(Option<E>, Option<T>) {
        move |error, value| {
            let result = match (error, value) {
                (Some(error), _) => Err(error),
                (None, Some(value)) => Ok(value),
                (None, None) => return,
            };
            drop(self.resolve(result));
        }
    }
}
