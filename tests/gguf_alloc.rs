//! Reading a file allocates nothing. Alone in its binary, because it counts every allocation.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![cfg(feature = "std")]
#![allow(unsafe_code, reason = "an allocator is unsafe to implement; this one only counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use trilane::core::gguf::blocks::expand;
use trilane::core::gguf::{Gguf, TensorType, Value};
use trilane::std::gguf_writer::GgufWriter;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// Counts the allocations of each thread.
struct Counting;

// SAFETY: every call is passed on unchanged to the system's allocator, whose results are returned
// unchanged. Counting touches a thread-local without destructor or lazy initialiser, so it neither
// allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `System.alloc` above with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of this thread while `run` runs.
fn count(run: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    run();
    ALLOCATIONS.get() - before
}

#[test]
fn reading_allocates_nothing() {
    let mut file = GgufWriter::new(32).unwrap();
    let words: Vec<_> = (0..1000).map(|i| format!("word {i}")).collect();
    file.add_array("words", &words).unwrap();
    file.add_array("nested", &[vec![1u8], vec![2, 3]]).unwrap();
    for i in 0..600 {
        file.add(&format!("key {i}"), Value::U32(i)).unwrap();
        file.declare(&format!("t{i}"), TensorType::Q8_0, &[32], 34).unwrap();
    }
    let mut data = file.begin(Vec::new()).unwrap();
    for i in 0..600 {
        data.write_tensor(&format!("t{i}"), &[1; 34]).unwrap();
    }
    let bytes = data.finish().unwrap();
    let mut weights = [0.0; 32];

    assert!(count(|| drop(std::hint::black_box(Box::new(1)))) > 0, "the counter counts");
    let allocations = count(|| {
        let file = Gguf::parse(&bytes).unwrap();
        let strings = file.get("words").and_then(|value| value.as_array()).unwrap();
        assert_eq!(strings.strs().unwrap().map(str::len).sum::<usize>(), 7890);
        assert_eq!(file.get("key 599"), Some(Value::U32(599)));
        let last = file.tensor("t599").unwrap();
        expand(last.kind(), last.data(), &mut weights).unwrap();
        for cut in 0..bytes.len().min(5000) {
            assert!(Gguf::parse(&bytes[..cut]).is_err());
        }
    });
    assert_eq!(allocations, 0);
    assert!(weights[0] > 0.0);
}
