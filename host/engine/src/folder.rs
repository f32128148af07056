//! The plugin folder: what is in it runs.
//!
//! The folder is the one place that says which plugins there are. It is read when the server starts, and watched from
//! then on: a new file, or another file in place of an old one, is deployed. A file that goes away changes nothing,
//! because a slip of the hand must not take an API down; the plugin is gone after the next start.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use notify::Watcher;
use tokio::sync::{Mutex, mpsc};
use yado_model::Digest;

use crate::{Deployment, Engine, Refusal};

/// How long the folder must be quiet before it is read: whoever copies a file writes it in pieces.
const QUIET_MS: u64 = 100;

/// A folder that is never so quiet is read after this all the same: something else may be writing into it.
const LONGEST_UNREST: Duration = Duration::from_secs(5);

/// How long to wait before trying again what the host could not do.
const AGAIN: Duration = Duration::from_secs(5);

/// Files that are read from the folder. One more is refused.
const MOST_FILES: usize = 256;

/// The plugin folder.
#[derive(Clone)]
pub struct Folder {
    engine: Engine,
    path: Arc<Path>,
    /// What each file held when it was last deployed, and what came of it. Whoever holds it has the folder alone: what is
    /// read, what is deployed and what is written must not mix.
    seen: Arc<Mutex<HashMap<PathBuf, Seen>>>,
}

/// What is known of a file.
struct Seen {
    digest: Digest,
    /// Why it does not run, if it does not.
    refused: Option<String>,
    /// Whether it may be taken when other files have changed.
    again: bool,
    /// Whether it may be taken without a change to any file.
    passing: bool,
}

/// The folder can't be used.
#[derive(Debug, thiserror::Error)]
#[error("the plugin folder {} can't be {what}: {source}", path.display())]
pub struct FolderError {
    /// Which folder or file.
    pub path: PathBuf,
    /// "read", "watched", "written".
    pub what: &'static str,
    /// Why.
    #[source]
    pub source: std::io::Error,
}

impl Folder {
    /// Deploys all that is in the folder. What is refused is logged, and does not keep the rest from running.
    ///
    /// # Errors
    /// When the folder can't be read.
    pub async fn open(engine: Engine, path: PathBuf) -> Result<Self, FolderError> {
        let folder = Self { engine, path: path.into(), seen: Arc::default() };
        folder.look().await?;
        Ok(folder)
    }

    /// Watches the folder until the engine stops.
    ///
    /// # Errors
    /// When the operating system can't watch it.
    pub fn watch(&self) -> Result<tokio::task::JoinHandle<()>, FolderError> {
        let (news, mut received) = mpsc::channel(1);
        let failed = |error: notify::Error| self.failed("watched", std::io::Error::other(error));
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading a file is news to nobody, and the loop below reads files.
            if event.is_ok_and(|event| !event.kind.is_access()) {
                // When the channel is full the folder is going to be read anyway.
                let _ = news.try_send(());
            }
        })
        .map_err(failed)?;
        watcher.watch(&self.path, notify::RecursiveMode::NonRecursive).map_err(failed)?;
        let folder = self.clone();
        Ok(tokio::spawn(async move {
            // The watcher lives as long as the loop.
            let _watcher = watcher;
            let stopped = folder.engine.stopped();
            tokio::pin!(stopped);
            loop {
                let looks = Instant::now();
                // The first look is for what has come since the folder was opened and before it was watched.
                if let Err(error) = folder.look().await {
                    tracing::error!(%error, "the plugin folder could not be read");
                }
                // What takes long in vain leaves as much time to others.
                let again = AGAIN.max(looks.elapsed());
                tokio::select! {
                    () = &mut stopped => return,
                    news = received.recv() => if news.is_none() { return },
                    // The host could not deploy something, and may be able to by now.
                    () = tokio::time::sleep(again), if folder.has_hope().await => continue,
                }
                let (quiet, begun) = (Duration::from_millis(QUIET_MS), Instant::now());
                while begun.elapsed() < LONGEST_UNREST
                    && tokio::time::timeout(quiet, received.recv()).await.is_ok_and(|news| news.is_some())
                {
                }
            }
        }))
    }

    /// Deploys a plugin, and puts it into the folder, so that it runs after a restart too.
    ///
    /// # Errors
    /// When the plugin is refused; nothing has changed then. Also when it can't be written: then it runs, and the text
    /// says that it will not after a restart.
    pub async fn install(&self, component: Vec<u8>) -> Result<Deployment, Refusal> {
        let mut seen = self.seen.lock().await;
        let digest = Digest::of(&component);
        let deployment = self.engine.deploy(component.clone()).await?;
        let target = self.path.join(format!("{}.wasm", deployment.plugin));
        seen.insert(target.clone(), Seen { digest, refused: None, again: false, passing: false });
        let (folder, to) = (self.path.clone(), target.clone());
        let written = tokio::task::spawn_blocking(move || put(&folder, &to, &component)).await;
        written.map_err(std::io::Error::other).flatten().map_err(|error| {
            let error = FolderError { path: target, what: "written", source: error };
            Refusal::Unavailable(format!("the plugin runs now, and will not after a restart: {error}"))
        })?;
        Ok(deployment)
    }

    /// Reads the folder, and deploys what has changed. What was refused before is tried again along with it, because it
    /// may have lacked just what has come.
    async fn look(&self) -> Result<(), FolderError> {
        let mut seen = self.seen.lock().await;
        let path = self.path.clone();
        let files = tokio::task::spawn_blocking(move || read(&path))
            .await
            .map_err(std::io::Error::other)
            .flatten()
            .map_err(|error| self.failed("read", error))?;
        let files: Vec<_> = files.into_iter().map(|(file, bytes)| (Digest::of(&bytes), file, bytes)).collect();
        let news = files.iter().any(|(digest, file, _)| seen.get(file).is_none_or(|known| known.digest != *digest));
        let due = |digest: Digest, file: &PathBuf| {
            seen.get(file).is_none_or(|known| known.digest != digest || known.passing || (news && known.again))
        };
        let due: Vec<_> = files.into_iter().filter(|(digest, file, _)| due(*digest, file)).collect();
        if due.is_empty() {
            return Ok(());
        }
        let (files, components): (Vec<_>, Vec<_>) =
            due.into_iter().map(|(digest, file, bytes)| ((digest, file), bytes)).unzip();
        for ((digest, file), answer) in files.into_iter().zip(self.engine.deploy_all(components).await) {
            let passing = matches!(answer, Err(Refusal::Unavailable(_)));
            // What an operator has given up is begun again when its file is another one.
            let again = answer.as_ref().is_err_and(|refusal| !matches!(refusal, Refusal::GivenUp(_)));
            let refused = answer.err().map(|refusal| refusal.to_string());
            let known = seen.get(&file).filter(|known| known.digest == digest).and_then(|known| known.refused.as_ref());
            if let Some(reason) = refused.as_ref().filter(|reason| known != Some(reason)) {
                tracing::error!(file = %file.display(), reason, "a plugin was refused; what ran before goes on");
            }
            seen.insert(file, Seen { digest, refused, again, passing });
        }
        Ok(())
    }

    /// Whether something was refused for a reason that may pass by itself.
    async fn has_hope(&self) -> bool {
        self.seen.lock().await.values().any(|known| known.passing)
    }

    fn failed(&self, what: &'static str, source: std::io::Error) -> FolderError {
        FolderError { path: self.path.to_path_buf(), what, source }
    }
}

fn read(folder: &Path) -> std::io::Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "wasm") && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    if files.len() > MOST_FILES {
        tracing::error!(folder = %folder.display(), files = files.len(), MOST_FILES, "too many plugins; the last ones are left out");
        files.truncate(MOST_FILES);
    }
    let mut read = Vec::with_capacity(files.len());
    for path in files {
        match std::fs::read(&path) {
            Ok(bytes) => read.push((path, bytes)),
            // It may have gone since the folder was listed; and one that can't be read must not keep the rest from
            // running.
            Err(error) => tracing::error!(file = %path.display(), %error, "a plugin could not be read"),
        }
    }
    Ok(read)
}

/// Writes a file so that nobody ever sees half of it.
fn put(folder: &Path, target: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let draft = folder.join(format!(".{}.draft", Digest::of(bytes).short()));
    let written = std::fs::File::create(&draft).and_then(|mut file| {
        std::io::Write::write_all(&mut file, bytes)?;
        file.sync_all()?;
        std::fs::rename(&draft, target)?;
        std::fs::File::open(folder)?.sync_all()
    });
    if written.is_err() {
        let _ = std::fs::remove_file(&draft);
    }
    written
}
