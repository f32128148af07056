//! `yado plugin check`: what a server would see in a plugin's file, without a server.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use yado_engine::{Catalogue, Deployed, advice};
use yado_model::manifest::{Manifest, Target};
use yado_runtime::{Plugin, Runtime, Settings};
use yado_store::PluginVersion;

use crate::failure::{Doing as _, Result};
use crate::terminal;

/// Loads a file under the default limits, and prints what it brings.
pub(crate) fn run(file: &Path) -> Result<()> {
    let shown = file.display();
    let component = std::fs::read(file).doing(|| format!("{shown} can't be read"))?;
    let runtime = Runtime::new(Settings::default()).doing(|| "guests can't be run".to_owned())?;
    let plugin = runtime.load(&component).doing(|| format!("{shown} is refused"))?;
    terminal::say(&describe(&plugin, component.len()));
    advise(plugin);
    Ok(())
}

/// Says what it asks of its read models that no index serves, as far as that can be told without other plugins.
fn advise(plugin: Plugin) {
    let name = plugin.manifest().name.clone();
    // No event refers to it here, so any number will do.
    let deployed = Arc::new(Deployed { plugin, version: PluginVersion(0) });
    match Catalogue::default().with([deployed]) {
        Ok(catalogue) => {
            // Whether one serves searches depends on the database.
            advice::of(&catalogue, &name, true).iter().for_each(|advice| terminal::say(&format!("  advice: {advice}")));
        }
        Err(clash) => {
            terminal::tell(&format!("whether indexes serve all that it asks is told when it is deployed: {clash}"))
        }
    }
}

fn describe(plugin: &Plugin, bytes: usize) -> String {
    let Manifest { name, version, description, aggregates, read_models, projections, queries, sagas, effects, .. } =
        &**plugin.manifest();
    let mut text = format!("{name} {version}, {bytes} bytes, {}", plugin.digest());
    let mut line = |line: String| {
        // Writing into a string can't fail.
        let _ = write!(text, "\n{line}");
    };
    if !description.is_empty() {
        line(format!("  {description}"));
    }
    for aggregate in aggregates {
        line(format!("  aggregate {}", aggregate.name));
        for command in &aggregate.commands {
            let creates = if command.target == Target::Create { " (creates)" } else { "" };
            line(format!("    command {}{creates}", command.name));
        }
        for event in &aggregate.events {
            line(format!("    event {} version {}", event.name, event.version));
        }
    }
    read_models.iter().for_each(|model| line(format!("  read model {}", model.name)));
    projections.iter().for_each(|projection| line(format!("  projection {}", projection.name)));
    queries.iter().for_each(|query| line(format!("  query {}", query.name)));
    sagas.iter().for_each(|saga| line(format!("  saga {}", saga.name)));
    effects.iter().for_each(|effect| line(format!("  effect {}", effect.name)));
    text
}
