//! A guest's memory.
//!
//! A call of a guest is a few microseconds, and much of it goes into texts that come and go: each text that the host hands
//! over, each field of a row. The allocator that Rust brings along for WebAssembly keeps its free memory in order, which
//! costs a twentieth of a projection that catches up. This one keeps small blocks by their size, those that were given
//! back last first, and takes no more than a look at a list. Large blocks, and the memory that small ones are cut from, are
//! that other allocator's.
//!
//! A small block stays one of its size for as long as the instance lives. So an instance holds as much as it once needed of
//! every size, at most; the host throws away an instance that has grown large.

#![allow(unsafe_code, reason = "an allocator is what Rust can't prove")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr::{self, NonNull};

/// Blocks are multiples of this, and lie at multiples of it.
const GRAIN: usize = 16;
/// What is larger is not small.
const LARGEST: usize = 1024;
/// How much small blocks are cut from at a time.
const SHEET: usize = 16 * 1024;

/// Small blocks by their size, large ones by the system's allocator.
///
/// It is for a single thread, which is what a guest is.
pub(crate) struct Memory(UnsafeCell<Blocks>);

struct Blocks {
    /// For each size, the block that was given back last. Its first bytes say which came before.
    free: [Option<NonNull<Free>>; LARGEST / GRAIN + 1],
    /// What is left of the sheet that blocks are cut from.
    sheet: *mut u8,
    left: usize,
}

struct Free(Option<NonNull<Free>>);

impl Memory {
    pub(crate) const fn new() -> Self {
        Self(UnsafeCell::new(Blocks { free: [None; LARGEST / GRAIN + 1], sheet: ptr::null_mut(), left: 0 }))
    }
}

/// In how many grains a small block is; none, if it is large.
const fn grains(layout: Layout) -> Option<usize> {
    if layout.size() <= LARGEST && layout.align() <= GRAIN { Some(layout.size().div_ceil(GRAIN)) } else { None }
}

impl Blocks {
    /// Cuts a block from the sheet. What is left of one that is too short is lost, which is less than a block.
    fn cut(&mut self, grains: usize) -> *mut u8 {
        let size = grains * GRAIN;
        if self.left < size {
            // SAFETY: it has a size.
            let sheet = unsafe { System.alloc(SHEET_LAYOUT) };
            if sheet.is_null() {
                return sheet;
            }
            (self.sheet, self.left) = (sheet, SHEET);
        }
        let block = self.sheet;
        // SAFETY: so much is left of the sheet.
        self.sheet = unsafe { block.add(size) };
        self.left -= size;
        block
    }
}

const SHEET_LAYOUT: Layout = match Layout::from_size_align(SHEET, GRAIN) {
    Ok(layout) => layout,
    Err(_) => panic!("the grain is no power of two"),
};

// SAFETY: a block is given out once until it comes back: it is cut from a sheet of its own place, or taken from the list that
// it was put on when it came back. Its size and its place are whole grains, and at least what was asked for. What is asked for
// and what comes back have the same layout, so a block comes back to where it is from.
unsafe impl GlobalAlloc for Memory {
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if grains(layout).is_none() {
            // SAFETY: as the caller has promised.
            return unsafe { System.alloc_zeroed(layout) };
        }
        // SAFETY: as the caller has promised; and a block is as large as was asked for.
        unsafe {
            let block = self.alloc(layout);
            if !block.is_null() {
                block.write_bytes(0, layout.size());
            }
            block
        }
    }

    // Not inlined: every text that a guest makes would hold a copy of it.
    #[inline(never)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(grains) = grains(layout) else {
            // SAFETY: as the caller has promised.
            return unsafe { System.alloc(layout) };
        };
        // SAFETY: there is one thread, and nothing in here calls anything that allocates from here.
        let blocks = unsafe { &mut *self.0.get() };
        match blocks.free[grains] {
            Some(block) => {
                // SAFETY: it was written when the block came back, and nobody has had it since.
                blocks.free[grains] = unsafe { block.as_ref().0 };
                block.as_ptr().cast()
            }
            None => blocks.cut(grains),
        }
    }

    #[inline(never)]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some(grains) = grains(layout) else {
            // SAFETY: as the caller has promised; large blocks are from there.
            return unsafe { System.dealloc(block, layout) };
        };
        // SAFETY: as above.
        let blocks = unsafe { &mut *self.0.get() };
        if let Some(block) = NonNull::new(block.cast::<Free>()) {
            // SAFETY: a block is at least a grain, and nobody has it any more.
            unsafe { block.write(Free(blocks.free[grains])) };
            blocks.free[grains] = Some(block);
        }
    }

    #[inline(never)]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller has promised that the size is not too large for the alignment.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (grains(layout), grains(wanted)) {
            // SAFETY: as the caller has promised; large blocks are from there.
            (None, None) => unsafe { System.realloc(block, layout, size) },
            (Some(before), Some(after)) if before == after => block,
            // SAFETY: the new block is another one, and as many bytes are copied as both of them have.
            _ => unsafe {
                let moved = self.alloc(wanted);
                if !moved.is_null() {
                    ptr::copy_nonoverlapping(block, moved, layout.size().min(size));
                    self.dealloc(block, layout);
                }
                moved
            },
        }
    }
}

// SAFETY: a guest has one thread.
#[cfg(all(target_family = "wasm", not(target_feature = "atomics")))]
unsafe impl Sync for Memory {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks of all sizes come and go in an order that is different each time and the same in each run: none of them
    /// touches another.
    #[test]
    fn a_block_is_its_owners_alone() {
        let memory = Memory::new();
        let mut held: Vec<(*mut u8, Layout, u8)> = Vec::new();
        let mut random = 0x9E37_79B9_7F4A_7C15_u64;
        let mut next = |below: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            usize::try_from(random % below).unwrap()
        };
        let whole = |(block, layout, mark): &(*mut u8, Layout, u8)| {
            // SAFETY: it is held, and was filled when it was given out.
            unsafe { std::slice::from_raw_parts(*block, layout.size()) }.iter().all(|byte| byte == mark)
        };
        for mark in (0..=255).cycle().take(20_000) {
            let layout =
                Layout::from_size_align(1 + next(if mark % 16 == 0 { 4_000 } else { 300 }), 1 << next(6)).unwrap();
            match next(6) {
                0 | 1 if !held.is_empty() => {
                    let gone = held.swap_remove(next(held.len() as u64));
                    assert!(whole(&gone));
                    // SAFETY: it was given out with this layout.
                    unsafe { memory.dealloc(gone.0, gone.1) };
                }
                2 if !held.is_empty() => {
                    let at = next(held.len() as u64);
                    let (block, before, mark) = held[at];
                    // SAFETY: it was given out with this layout, and is filled anew.
                    held[at] = unsafe {
                        let moved = memory.realloc(block, before, layout.size());
                        let kept = std::slice::from_raw_parts(moved, before.size().min(layout.size()));
                        assert!(kept.iter().all(|byte| *byte == mark));
                        moved.write_bytes(mark, layout.size());
                        (moved, Layout::from_size_align(layout.size(), before.align()).unwrap(), mark)
                    };
                }
                // SAFETY: it has a size, and is as large as is written.
                _ => held.push(unsafe {
                    let block = memory.alloc(layout);
                    assert_eq!(block.addr() % layout.align(), 0);
                    block.write_bytes(mark, layout.size());
                    (block, layout, mark)
                }),
            }
        }
        assert!(held.len() > 100 && held.iter().all(whole));
        for (block, layout, _) in held {
            // SAFETY: it was given out with this layout.
            unsafe { memory.dealloc(block, layout) };
        }
    }
}
