//! `yado serve`: from a configuration to a server, and in order to its end.

use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use yado_engine::{Engine, Parts};
use yado_graphql::GraphQl;
use yado_runtime::Runtime;

use crate::admin::Admin;
use crate::config::Config;
use crate::data::DataFolder;
use crate::failure::{Doing as _, Result};
use crate::front::Front;
use crate::metrics::Metrics;
use crate::plugins::Plugins;
use crate::stop::Stop;
use crate::token::{self, AdminToken};
use crate::{banner, connections, http};

/// Runs a server until it is told to stop.
pub(crate) async fn run(config: Config, began: Instant) -> Result<()> {
    let stop = Stop::on_signals()?;
    // A socket is a file, and there may be many. The usual limit is for programs of long ago.
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "the number of files that may be open could not be raised");
    }
    // The folder and the port come first: without them nothing else is touched.
    let _data = DataFolder::open(&config.data)?;
    let listener = listen(&config).await?;
    let address = listener.local_addr().doing(|| "the address that is listened at is not known".to_owned())?;
    let token = match &config.admin_token {
        Some(token) => AdminToken::new(token),
        None => AdminToken::new(&token::keep(&config.data)?),
    };
    // Whoever asks from here on gets an answer, if only that the server is starting.
    let metrics = Metrics::install()?;
    tokio::spawn(metrics.clone().keep());
    let front = Front::closed(metrics.clone());
    let serving = tokio::spawn({
        let (front, http, stop, farewell) =
            (front.clone(), config.http.clone(), stop.clone(), config.graphql.farewell());
        async move { connections::serve(listener, front, &http, farewell, &stop).await }
    });
    let serving = async { serving.await.doing(|| "connections can't be served any more".to_owned()) };
    tracing::info!(%address, "starting");
    let started = tokio::select! {
        started = start(&config) => started?,
        () = stop.told() => return serving.await,
    };
    let Started { engine, graphql, plugins } = started;
    let admin = Admin::new(engine.clone(), plugins, token, config.guests.limits.component_bytes);
    // What other sites may do stands in headers that the routes add.
    let direct = config.cors_origins.is_empty().then(|| graphql.clone());
    front.open(http::router(&config, &engine, graphql.clone(), admin, metrics, &stop), direct);
    let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(%address, ms, plugins = engine.catalogue().plugins().count(), "ready");
    banner::show(address, &config, &engine.catalogue());

    // Whoever follows what happens is told to go when no more requests are taken, and has as long as those have.
    let followers = async {
        stop.told().await;
        let drain = Duration::from_millis(config.http.drain_ms);
        if tokio::time::timeout(drain, graphql.close()).await.is_err() {
            tracing::warn!(after_ms = config.http.drain_ms, "sockets that were still open have been cut off");
        }
    };
    let (served, ()) = tokio::join!(serving, followers);
    served?;
    tracing::info!("stopping");
    engine.shutdown().await;
    tracing::info!("stopped");
    Ok(())
}

async fn listen(config: &Config) -> Result<TcpListener> {
    let bound = TcpListener::bind(config.listen.0).await;
    bound.doing_or(|| format!("{} can't be listened at", config.listen), "free it, or name another one with --listen")
}

/// What serves requests.
pub(crate) struct Started {
    pub(crate) engine: Engine,
    pub(crate) graphql: GraphQl,
    pub(crate) plugins: Plugins,
}

/// Puts together what serves requests.
pub(crate) async fn start(config: &Config) -> Result<Started> {
    let (log, read) = (&config.database_url, &config.read_database_url);
    let events = yado_store::open_events(log.expose(), &config.database).await;
    let events = events
        .doing_or(|| format!("the event log in {log} can't be used"), "see to it, or name another --database-url")?;
    let reads = yado_store::open_reads(read.expose(), &config.database).await;
    let reads = reads.doing_or(
        || format!("the read models in {read} can't be used"),
        "see to it, or name another --read-database-url",
    )?;
    let runtime = Runtime::new(config.guests.clone()).doing(|| "guests can't be run".to_owned())?;
    let engine = Engine::start(Parts { events, reads, runtime }, config.limits.clone()).await;
    let engine = engine.doing(|| "the engine can't be started".to_owned())?;
    match surfaces(&engine, config).await {
        Ok((graphql, plugins)) => Ok(Started { engine, graphql, plugins }),
        Err(failure) => {
            // Its loops are told to end, rather than found dead.
            engine.shutdown().await;
            Err(failure)
        }
    }
}

async fn surfaces(engine: &Engine, config: &Config) -> Result<(GraphQl, Plugins)> {
    let graphql = GraphQl::new(engine.clone(), config.graphql.clone()).await;
    let graphql = graphql.doing(|| "GraphQL can't be served".to_owned())?;
    Ok((graphql, Plugins::open(engine.clone(), config).await?))
}
