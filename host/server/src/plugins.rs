//! The folder of plugins, as far as the server has one.

use std::path::PathBuf;

use tokio::sync::OnceCell;
use yado_engine::{Deployment, Engine, Folder, Refusal};

use crate::config::Config;
use crate::failure::{Failure, Result};

/// The folder of plugins. If nobody asked for one and there is none, it is made when the first plugin is deployed.
pub(crate) struct Plugins {
    engine: Engine,
    path: PathBuf,
    folder: OnceCell<Folder>,
}

impl Plugins {
    /// Deploys what the folder holds, and watches it from then on.
    pub(crate) async fn open(engine: Engine, config: &Config) -> Result<Self> {
        let plugins = Self { engine, path: config.plugins.clone(), folder: OnceCell::new() };
        let shown = plugins.path.display();
        if plugins.path.is_dir() {
            plugins.folder().await.map_err(|error| Failure::new(error.to_string()))?;
        } else if config.plugins_asked_for {
            return Err(Failure::new(format!("there is no plugin folder {shown}: make it, or name another --plugins")));
        } else {
            tracing::warn!(folder = %shown, "there is no plugin folder, so nothing is deployed: make it, or use --plugins");
        }
        Ok(plugins)
    }

    /// Deploys a plugin, and keeps it in the folder for the next start.
    pub(crate) async fn install(&self, component: Vec<u8>) -> Result<Deployment, Refusal> {
        tokio::fs::create_dir_all(&self.path).await.map_err(|error| {
            Refusal::Unavailable(format!("the plugin folder {} can't be made: {error}", self.path.display()))
        })?;
        let folder = self.folder().await.map_err(|error| Refusal::Unavailable(error.to_string()))?;
        folder.install(component).await
    }

    async fn folder(&self) -> Result<&Folder, yado_engine::FolderError> {
        let open = async || {
            let folder = Folder::open(self.engine.clone(), self.path.clone()).await?;
            folder.watch()?;
            Ok(folder)
        };
        self.folder.get_or_try_init(open).await
    }
}
