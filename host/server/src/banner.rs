//! What a person at a terminal sees when the server is ready: where to click, and something to paste.

use std::net::SocketAddr;

use yado_engine::Catalogue;

use crate::config::{Config, LogFormat};
use crate::{example, logging, terminal};

/// Shows it, if a person is there to read it.
pub(crate) fn show(address: SocketAddr, config: &Config, catalogue: &Catalogue) {
    if terminal::is_watched() && config.log_format != LogFormat::Json {
        logging::settle();
        terminal::tell(&text(address, config, catalogue));
    }
}

fn text(address: SocketAddr, config: &Config, catalogue: &Catalogue) -> String {
    let host =
        if address.ip().is_unspecified() { format!("localhost:{}", address.port()) } else { address.to_string() };
    let plugins: Vec<String> = catalogue
        .plugins()
        .map(|deployed| format!("{} {}", deployed.manifest().name, deployed.manifest().version))
        .collect();
    let plugins = if plugins.is_empty() {
        format!("none yet: put one into {}, or `yado plugin deploy FILE`", config.plugins.display())
    } else {
        plugins.join(", ")
    };
    let mut text = format!(
        "\n  yado {version}\n\n  open     http://{host}/graphiql\n  plugins  {plugins}\n  data     {data}\n",
        version = env!("CARGO_PKG_VERSION"),
        data = config.data.display(),
    );
    if let Some(mutation) = example::mutation(catalogue) {
        let indented: Vec<String> = mutation.lines().map(|line| format!("    {line}")).collect();
        text.push_str(&format!("\n  to begin with, paste this:\n\n{}\n", indented.join("\n")));
    }
    text
}
