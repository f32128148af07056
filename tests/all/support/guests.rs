//! The plugins, as they ship.

use std::path::PathBuf;

/// Where cargo builds: two folders above the test's own binary.
fn target() -> PathBuf {
    std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned()
}

/// The component of a plugin.
pub(crate) fn component(name: &str) -> Vec<u8> {
    let shelves = ["plugins", "test-guests"].map(|shelf| target().join(shelf).join(format!("{name}.wasm")));
    let found = shelves.iter().find_map(|path| std::fs::read(path).ok());
    found.unwrap_or_else(|| panic!("the plugin {name} is not built: `cargo xtask test` does that"))
}

/// The same plugin with another digest: code with a note in it that nobody reads.
pub(crate) fn variant(component: &[u8], note: u32) -> Vec<u8> {
    let note = note.to_le_bytes();
    let name = b"note";
    let mut varied = component.to_vec();
    // A custom section: its kind, its size, the length of its name, its name, its content.
    varied.extend([0, 1 + 4 + 4, 4]);
    varied.extend(name);
    varied.extend(note);
    varied
}
