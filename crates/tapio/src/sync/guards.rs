//! What all guards have in common.

/// Implements `Deref`, `Debug` and `Display` for a guard, through a pointer to
/// the value that the lock lets it read.
macro_rules! reads {
    (impl[$($generics:tt)*] $guard:ty, $value:ty, $pointer:expr) => {
        impl<$($generics)*> std::ops::Deref for $guard {
            type Target = $value;

            #[inline]
            fn deref(&self) -> &$value {
                let pointer: fn(&Self) -> *const $value = $pointer;
                // SAFETY: the pointer is to the lock's value, which is there
                // as long as the lock that the guard refers to. The guard
                // holds the lock: whoever writes has it alone, and gives out
                // what it writes through only from `&mut` of its guard.
                unsafe { &*pointer(self) }
            }
        }

        impl<$($generics)*> std::fmt::Debug for $guard
        where
            $value: std::fmt::Debug,
        {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(&**self, f)
            }
        }

        impl<$($generics)*> std::fmt::Display for $guard
        where
            $value: std::fmt::Display,
        {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&**self, f)
            }
        }
    };
}

/// Implements `DerefMut` for a guard that has its lock alone.
macro_rules! writes {
    (impl[$($generics:tt)*] $guard:ty, $value:ty, $pointer:expr) => {
        impl<$($generics)*> std::ops::DerefMut for $guard {
            #[inline]
            fn deref_mut(&mut self) -> &mut $value {
                let pointer: fn(&Self) -> *mut $value = $pointer;
                // SAFETY: as for `Deref`, and the guard holds the lock alone,
                // so that only it reaches the value, and `&mut self` says that
                // nobody else uses the guard.
                unsafe { &mut *pointer(self) }
            }
        }
    };
}

pub(super) use {reads, writes};
