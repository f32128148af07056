//! Keeps compiled code on disk, so that a second start does not compile.
//!
//! An entry is found by the plugin's digest and by everything that makes compiled code fit an engine: wasmtime's version,
//! the processor, the settings. It carries that key and a checksum, and both are checked before wasmtime sees a byte of
//! it: wasmtime believes what it is told to be its own code. An entry that is damaged, cut short or someone else's is
//! built anew. The checksum is no signature: the folder must belong to the user that the host runs as, and is made so.
//!
//! A cache that does not work costs time, not service: whatever goes wrong here is a warning.

use std::ffi::OsStr;
use std::fs;
use std::hash::{Hash as _, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};
use tracing::warn;
use wasmtime::Engine;
use wasmtime::component::Component;
use yado_model::Digest;

const EXTENSION: &str = "code";
const MAGIC: &[u8; 8] = b"yadocode";
const SUM: usize = 32;
const HEADER: usize = MAGIC.len() + SUM + SUM;

/// Entries to keep. A plugin in development leaves one behind with every build, of a few hundred kilobytes each.
const ENTRIES: usize = 200;

#[derive(Debug)]
pub(crate) struct Cache {
    folder: PathBuf,
    settings: Digest,
}

impl Cache {
    /// Opens the folder, or makes it.
    pub(crate) fn open(folder: PathBuf, engine: &Engine) -> Self {
        if let Err(error) = make(&folder) {
            warn!(folder = %folder.display(), %error, "compiled code can't be kept; plugins are compiled at every start");
        }
        let mut settings = Sum(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut settings);
        Self { folder, settings: Digest::from_bytes(settings.0.finalize().into()) }
    }

    /// The compiled code of a plugin, if there is any that is sound.
    pub(crate) fn get(&self, engine: &Engine, plugin: &Digest) -> Option<Component> {
        let path = self.path(plugin);
        let entry = match fs::read(&path) {
            Ok(entry) => entry,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                warn!(path = %path.display(), %error, "compiled code can't be read; the plugin is compiled again");
                return None;
            }
        };
        let Some(code) = checked(&entry, &self.key(plugin)) else {
            warn!(path = %path.display(), "compiled code is damaged; the plugin is compiled again");
            return None;
        };
        match deserialize(engine, code) {
            Ok(component) => Some(component),
            Err(error) => {
                warn!(path = %path.display(), %error, "compiled code does not fit; the plugin is compiled again");
                None
            }
        }
    }

    /// Keeps the compiled code of a plugin.
    pub(crate) fn put(&self, plugin: &Digest, component: &Component) {
        let path = self.path(plugin);
        let kept = component.serialize().map_err(io::Error::other).and_then(|code| self.write(&path, plugin, &code));
        if let Err(error) = kept {
            warn!(path = %path.display(), %error, "compiled code can't be kept; the plugin is compiled at every start");
        }
    }

    fn write(&self, path: &Path, plugin: &Digest, code: &[u8]) -> io::Result<()> {
        static WRITTEN: AtomicU64 = AtomicU64::new(0);
        let mut entry = Vec::with_capacity(HEADER + code.len());
        entry.extend_from_slice(MAGIC);
        entry.extend_from_slice(self.key(plugin).bytes());
        entry.extend_from_slice(Digest::of(code).bytes());
        entry.extend_from_slice(code);
        // Other processes may keep the same plugin at the same moment, so each writes a file of its own and then moves
        // it into place: nobody ever sees half an entry. It needs no fsync, because the checksum notices what a crash
        // leaves behind.
        let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
        let unfinished = path.with_extension(format!("{}-{number}.tmp", std::process::id()));
        let written = fs::write(&unfinished, entry).and_then(|()| fs::rename(&unfinished, path));
        if written.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        written?;
        self.thin_out()
    }

    /// Removes the oldest entries when there are too many.
    fn thin_out(&self) -> io::Result<()> {
        let mut entries: Vec<(SystemTime, PathBuf)> = fs::read_dir(&self.folder)?
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .filter(|path| path.extension() == Some(OsStr::new(EXTENSION)))
            .filter_map(|path| Some((fs::metadata(&path).ok()?.modified().ok()?, path)))
            .collect();
        let surplus = entries.len().saturating_sub(ENTRIES);
        entries.sort();
        for (_, path) in entries.into_iter().take(surplus) {
            fs::remove_file(path)?;
        }
        Ok(())
    }

    fn path(&self, plugin: &Digest) -> PathBuf {
        self.folder.join(format!("{plugin}-{}.{EXTENSION}", self.settings.short()))
    }

    fn key(&self, plugin: &Digest) -> Digest {
        Digest::of_parts([plugin.bytes().as_slice(), self.settings.bytes().as_slice()])
    }
}

/// The code in an entry, if the entry is whole and belongs to the key.
fn checked<'a>(entry: &'a [u8], key: &Digest) -> Option<&'a [u8]> {
    let rest = entry.strip_prefix(MAGIC)?.strip_prefix(key.bytes())?;
    let (sum, code) = rest.split_at_checked(SUM)?;
    (Digest::of(code).bytes() == sum).then_some(code)
}

#[allow(unsafe_code)]
fn deserialize(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: wasmtime asks for bytes that `Component::serialize` has made. These are: the checksum says that they are
    // what `put` wrote, the key says that an engine of the same version and settings made them, and `put` writes nothing
    // else. They were read into this process's memory, so nobody can change them between the check and the use, as they
    // could with a file that is mapped.
    unsafe { Component::deserialize(engine, code) }
}

fn make(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Turns what can be hashed into a digest that is the same in every process.
struct Sum(Sha256);

impl Hasher for Sum {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(self.0.clone().finalize());
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}
