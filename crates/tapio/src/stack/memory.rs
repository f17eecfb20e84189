//! Reading this process's own memory by way of the kernel, which answers with
//! an error where a plain access would end the program.

#![expect(unsafe_code, reason = "a system call without a safe wrapper")]

/// Fills `words` from `address` on, as far as there is memory; says how many,
/// or the error number when there is none at all.
///
/// Usable in a signal handler: it makes one system call. Other threads may be
/// writing there; what is read then is what was there, or will be.
pub(crate) fn read(address: u64, words: &mut [u64]) -> Result<usize, i32> {
    let count = size_of_val(words);
    // SAFETY: the words are borrowed for it, and any bytes make a word.
    let read = unsafe { copy(address, words.as_mut_ptr().cast(), count) };
    read.map(|count| count / size_of::<u64>())
}

/// `count` bytes from `address` on, or nothing if any is missing.
pub(super) fn bytes(address: u64, count: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; count];
    // SAFETY: the bytes are borrowed for it.
    let read = unsafe { copy(address, bytes.as_mut_ptr(), count) };
    (count == 0 || read == Ok(count)).then_some(bytes)
}

/// # Safety
/// There must be `count` bytes at `to`, the caller's alone.
unsafe fn copy(from: u64, to: *mut u8, count: usize) -> Result<usize, i32> {
    let local = libc::iovec {
        iov_base: to.cast(),
        iov_len: count,
    };
    let remote = libc::iovec {
        iov_base: std::ptr::without_provenance_mut(from as usize),
        iov_len: count,
    };
    // SAFETY: the kernel writes to `to`, as the caller promises it may; what
    // it reads is checked by it.
    let read = unsafe {
        libc::process_vm_readv(libc::getpid(), &raw const local, 1, &raw const remote, 1, 0)
    };
    if read < 0 {
        // SAFETY: this thread's own.
        return Err(unsafe { *libc::__errno_location() });
    }
    Ok(read as usize)
}

#[cfg(test)]
mod tests {
    use super::{bytes, read};

    #[test]
    fn what_is_there_is_read_and_what_is_not_is_an_error() {
        let there = [1_u64, 2, 3];
        let mut copy = [0; 3];
        let address = (&raw const there).addr() as u64;
        assert_eq!(read(address, &mut copy), Ok(3));
        assert_eq!(copy, there);
        assert_eq!(read(8, &mut copy), Err(libc::EFAULT));

        let text = b"eighteen bytes, ok";
        let address = text.as_ptr().addr() as u64;
        assert_eq!(bytes(address, text.len()).as_deref(), Some(&text[..]));
        assert_eq!(bytes(address, 0).as_deref(), Some(&[][..]));
        assert_eq!(bytes(8, 4), None);
    }
}
