//! Every key of the configuration, once: its name in the file is its flag, and its variable with `YADO_` in front.
//!
//! A value of these types is one layer: what the file says, or what flags and environment say. A key that a layer leaves
//! out is none of its business; defaults belong to the parts that the keys are for.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Http;
use super::value::{
    DatabaseUrl, Held, Isolation, Listen, LogFormat, Natural, Origin, Positive, Secret, SmallNatural, SmallPositive,
};

/// The keys of a table that stands for the settings of one part.
macro_rules! table {
    (
        $(#[$doc:meta])*
        $name:ident for $settings:ty, $heading:literal {
            $($(#[$help:meta])* $flag:literal $variable:literal $key:ident: $kind:ty => $first:ident $(. $rest:ident)*,)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Default, Clone, PartialEq, clap::Args, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        #[command(next_help_heading = $heading)]
        pub(crate) struct $name {
            $(
                $(#[$help])*
                #[arg(id = $flag, long = $flag, env = $variable, value_name = "VALUE", hide_short_help = true)]
                #[serde(skip_serializing_if = "Option::is_none")]
                $key: Option<$kind>,
            )*
        }

        impl $name {
            /// The names of the keys.
            pub(super) const NAMES: &'static [&'static str] = &[$(stringify!($key)),*];

            /// This layer on top of another.
            fn over(self, lower: Self) -> Self {
                Self { $($key: self.$key.or(lower.$key),)* }
            }

            /// Puts what this layer says into the settings.
            pub(super) fn put(self, settings: &mut $settings) {
                $(if let Some(value) = self.$key {
                    value.put(&mut settings.$first$(.$rest)*);
                })*
            }

            /// The layer that says what the settings are.
            pub(super) fn of(settings: &$settings) -> Self {
                Self { $($key: Held::of(&settings.$first$(.$rest)*),)* }
            }
        }
    };
}

/// The keys outside of any table.
#[derive(Debug, Default, Clone, PartialEq, clap::Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Keys {
    /// The folder for everything that the server keeps; by default data. One server at a time uses it.
    #[arg(long, env = "YADO_DATA", value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<PathBuf>,

    /// The folder of plugins; by default plugins. What is put there while the server runs goes live at once.
    #[arg(long, env = "YADO_PLUGINS", value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) plugins: Option<PathBuf>,

    /// Where HTTP is served; by default 127.0.0.1:4000.
    #[arg(long, env = "YADO_LISTEN", value_name = "ADDRESS:PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) listen: Option<Listen>,

    /// The database of the event log: sqlite:PATH or postgres://… By default a file in the data folder.
    #[arg(long, env = "YADO_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) database_url: Option<DatabaseUrl>,

    /// The database of the read models. By default the one of the event log, or a file in the data folder.
    #[arg(long, env = "YADO_READ_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) read_database_url: Option<DatabaseUrl>,

    /// What callers of /admin show as a bearer token. By default one is made and kept in the data folder.
    #[arg(long, env = "YADO_ADMIN_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) admin_token: Option<Secret>,

    /// Sites whose pages may call the API from a browser, such as http://localhost:5173. By default none but its own.
    #[arg(long, env = "YADO_CORS_ORIGINS", value_name = "ORIGIN,…", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cors_origins: Option<Vec<Origin>>,

    /// What is logged, such as warn,yado=debug.
    #[arg(long, env = "YADO_LOG", value_name = "FILTER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) log: Option<String>,

    /// What log lines look like: by default text on a terminal, JSON elsewhere.
    #[arg(long, env = "YADO_LOG_FORMAT", value_name = "FORMAT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) log_format: Option<LogFormat>,

    #[command(flatten)]
    pub(super) http: HttpKeys,

    #[command(flatten)]
    pub(super) database: DatabaseKeys,

    #[command(flatten)]
    pub(super) guests: GuestKeys,

    #[command(flatten)]
    pub(super) graphql: GraphqlKeys,

    #[command(flatten)]
    pub(super) limits: LimitKeys,
}

impl Keys {
    /// The names of the keys outside of tables.
    pub(super) const NAMES: &'static [&'static str] = &[
        "data",
        "plugins",
        "listen",
        "database_url",
        "read_database_url",
        "admin_token",
        "cors_origins",
        "log",
        "log_format",
    ];

    /// The names of the tables, each with the names of its keys.
    pub(super) const TABLES: &'static [(&'static str, &'static [&'static str])] = &[
        ("http", HttpKeys::NAMES),
        ("database", DatabaseKeys::NAMES),
        ("guests", GuestKeys::NAMES),
        ("graphql", GraphqlKeys::NAMES),
        ("limits", LimitKeys::NAMES),
    ];

    /// This layer on top of another.
    pub(super) fn over(self, lower: Self) -> Self {
        Self {
            data: self.data.or(lower.data),
            plugins: self.plugins.or(lower.plugins),
            listen: self.listen.or(lower.listen),
            database_url: self.database_url.or(lower.database_url),
            read_database_url: self.read_database_url.or(lower.read_database_url),
            admin_token: self.admin_token.or(lower.admin_token),
            cors_origins: self.cors_origins.or(lower.cors_origins),
            log: self.log.or(lower.log),
            log_format: self.log_format.or(lower.log_format),
            http: self.http.over(lower.http),
            database: self.database.over(lower.database),
            guests: self.guests.over(lower.guests),
            graphql: self.graphql.over(lower.graphql),
            limits: self.limits.over(lower.limits),
        }
    }
}

table! {
    /// `[http]`: what one client may take up.
    HttpKeys for Http, "HTTP" {
        /// Connections at a time. One more waits until another is closed.
        "http-connections" "YADO_HTTP_CONNECTIONS" connections: SmallPositive => connections,
        /// How long a connection may be idle, take to send the head of a request, or take nothing of an answer, in milliseconds.
        /// The last is twice `--graphql-slow-ms` and a second at least, so that whoever is too slow is told so.
        "http-idle-ms" "YADO_HTTP_IDLE_MS" idle_ms: Positive => idle_ms,
        /// How long the body of a request may take, in milliseconds. A route may have a shorter limit of its own.
        "http-body-ms" "YADO_HTTP_BODY_MS" body_ms: Positive => body_ms,
        /// How long requests may go on when the server has been told to stop, in milliseconds.
        "http-drain-ms" "YADO_HTTP_DRAIN_MS" drain_ms: Natural => drain_ms,
    }
}

table! {
    /// `[database]`: how databases are used.
    DatabaseKeys for yado_store::Options, "Databases" {
        /// Connections to each database. A request that finds none free waits. On PostgreSQL rows are read over as many again,
        /// and a few stand beside them: of appends, pages of events, projections and news, and, for up to five seconds, those
        /// whose questions were given up.
        "database-connections" "YADO_DATABASE_CONNECTIONS" connections: SmallPositive => connections,
        /// How long a request waits for a connection, in milliseconds.
        "database-acquire-timeout-ms" "YADO_DATABASE_ACQUIRE_TIMEOUT_MS" acquire_timeout_ms: Positive => acquire_timeout_ms,
        /// What the rows that one request reads may take up in memory, in bytes: those of all of its fields and of all levels
        /// of relations together. Each statement of a plugin's query function, and of a projection, has as much for itself; and
        /// so has each connection to PostgreSQL for all that is just coming over it. Whoever asks for more is told to ask for
        /// less, and a stream whose row has more is parked.
        "database-answer-bytes" "YADO_DATABASE_ANSWER_BYTES" answer_bytes: Positive => answer_bytes,
    }
}

table! {
    /// `[guests]`: what guests may use up, and how far they are kept apart.
    GuestKeys for yado_runtime::Settings, "Guests" {
        /// Whether an instance is used again for the same plugin and tenant.
        "guests-isolation" "YADO_GUESTS_ISOLATION" isolation: Isolation => isolation,
        /// The size of a plugin's file, in bytes.
        "guests-component-bytes" "YADO_GUESTS_COMPONENT_BYTES" component_bytes: Positive => limits.component_bytes,
        /// The memory of one instance, in bytes.
        "guests-memory-bytes" "YADO_GUESTS_MEMORY_BYTES" memory_bytes: Positive => limits.memory_bytes,
        /// The elements of one instance's tables.
        "guests-table-elements" "YADO_GUESTS_TABLE_ELEMENTS" table_elements: Positive => limits.table_elements,
        /// What a guest may answer in one call, in bytes.
        "guests-output-bytes" "YADO_GUESTS_OUTPUT_BYTES" output_bytes: Positive => limits.output_bytes,
        /// What a guest may answer in one decision or fold, in bytes.
        "guests-decide-output-bytes" "YADO_GUESTS_DECIDE_OUTPUT_BYTES" decide_output_bytes: Positive => limits.decide_output_bytes,
        /// The time for one decision, in milliseconds.
        "guests-decide-ms" "YADO_GUESTS_DECIDE_MS" decide_ms: Positive => limits.decide_ms,
        /// The time for one batch of a projection, or for the answer to a query, in milliseconds.
        "guests-project-ms" "YADO_GUESTS_PROJECT_MS" project_ms: Positive => limits.project_ms,
        /// The time for a plugin's start and its manifest, in milliseconds.
        "guests-describe-ms" "YADO_GUESTS_DESCRIBE_MS" describe_ms: Positive => limits.describe_ms,
        /// The instructions of one call, roughly. Counting them costs time; by default they are not counted.
        "guests-fuel" "YADO_GUESTS_FUEL" fuel: Positive => limits.fuel,
        /// A guest's part of the stack, in bytes.
        "guests-stack-bytes" "YADO_GUESTS_STACK_BYTES" stack_bytes: Positive => limits.stack_bytes,
        /// The lines that a guest may log in one call.
        "guests-log-lines" "YADO_GUESTS_LOG_LINES" log_lines: SmallNatural => limits.log_lines,
        /// What a guest may log in one call, in bytes.
        "guests-log-bytes" "YADO_GUESTS_LOG_BYTES" log_bytes: Natural => limits.log_bytes,
        /// Idle instances that are kept of one plugin for one tenant.
        "guests-idle-per-tenant" "YADO_GUESTS_IDLE_PER_TENANT" idle_per_tenant: Natural => limits.idle_per_tenant,
        /// Idle instances that are kept in all.
        "guests-idle" "YADO_GUESTS_IDLE" idle: Natural => limits.idle,
        /// The memory beyond which an instance is not kept, in bytes.
        "guests-idle-memory-bytes" "YADO_GUESTS_IDLE_MEMORY_BYTES" idle_memory_bytes: Natural => limits.idle_memory_bytes,
    }
}

table! {
    /// `[graphql]`: what one GraphQL request may ask for.
    GraphqlKeys for yado_graphql::Limits, "GraphQL" {
        /// The body of a request, in bytes.
        "graphql-body-bytes" "YADO_GRAPHQL_BODY_BYTES" body_bytes: Positive => body_bytes,
        /// The time for the body of a request to arrive, in milliseconds.
        "graphql-body-ms" "YADO_GRAPHQL_BODY_MS" body_ms: Positive => body_ms,
        /// The document, in bytes.
        "graphql-document-bytes" "YADO_GRAPHQL_DOCUMENT_BYTES" document_bytes: Positive => document_bytes,
        /// How deeply brackets may be nested in a document.
        "graphql-nesting-max" "YADO_GRAPHQL_NESTING_MAX" nesting_max: SmallPositive => nesting_max,
        /// How deeply fields may be nested.
        "graphql-depth-max" "YADO_GRAPHQL_DEPTH_MAX" depth_max: SmallPositive => depth_max,
        /// How many values the answer may have if every page is full.
        "graphql-complexity-max" "YADO_GRAPHQL_COMPLEXITY_MAX" complexity_max: Positive => complexity_max,
        /// How many fields a document may select.
        "graphql-fields-max" "YADO_GRAPHQL_FIELDS_MAX" fields_max: Positive => fields_max,
        /// How many fields of the root an operation may select.
        "graphql-root-fields-max" "YADO_GRAPHQL_ROOT_FIELDS_MAX" root_fields_max: SmallPositive => root_fields_max,
        /// How many aliases a document may have. Each has 128 bytes at most.
        "graphql-aliases-max" "YADO_GRAPHQL_ALIASES_MAX" aliases_max: SmallNatural => aliases_max,
        /// How many directives a document may have.
        "graphql-directives-max" "YADO_GRAPHQL_DIRECTIVES_MAX" directives_max: SmallNatural => directives_max,
        /// How many rows a page has if nothing else is asked for.
        "graphql-page-default" "YADO_GRAPHQL_PAGE_DEFAULT" page_default: SmallPositive => page_default,
        /// How many rows a page may have.
        "graphql-page-max" "YADO_GRAPHQL_PAGE_MAX" page_max: SmallPositive => page_max,
        /// How many rows may be skipped.
        "graphql-offset-max" "YADO_GRAPHQL_OFFSET_MAX" offset_max: SmallNatural => offset_max,
        /// Documents that are kept so that the next request need not parse and check them.
        "graphql-documents-kept" "YADO_GRAPHQL_DOCUMENTS_KEPT" documents_kept: Natural => documents_kept,
        /// The memory that those documents may take, in bytes.
        "graphql-documents-kept-bytes" "YADO_GRAPHQL_DOCUMENTS_KEPT_BYTES" documents_kept_bytes: Natural => documents_kept_bytes,
        /// The time for one request, in milliseconds.
        "graphql-timeout-ms" "YADO_GRAPHQL_TIMEOUT_MS" timeout_ms: Positive => timeout_ms,
        /// Whether the events of the log can be followed: true or false. If not, the schema has no field for it.
        "graphql-events" "YADO_GRAPHQL_EVENTS" events: bool => events,
        /// WebSockets and streams of events at a time. They are not counted among the connections.
        "graphql-sockets-max" "YADO_GRAPHQL_SOCKETS_MAX" sockets_max: SmallNatural => sockets_max,
        /// Subscriptions at a time.
        "graphql-subscriptions-max" "YADO_GRAPHQL_SUBSCRIPTIONS_MAX" subscriptions_max: Natural => subscriptions_max,
        /// Different subscriptions at a time. Those that ask for the same are one.
        "graphql-cohorts-max" "YADO_GRAPHQL_COHORTS_MAX" cohorts_max: Natural => cohorts_max,
        /// Operations that may be open at a time on one socket. Of those with one answer eight run at a time.
        "graphql-operations-per-socket" "YADO_GRAPHQL_OPERATIONS_PER_SOCKET" operations_per_socket: Positive => operations_per_socket,
        /// Messages that are kept for subscribers that are behind. Where there are as many, those that have not taken a
        /// quarter of them within a second, while most others have taken half, are told so and end. Where most are behind,
        /// all have `slow_ms` to take half.
        "graphql-live-buffer" "YADO_GRAPHQL_LIVE_BUFFER" live_buffer: Positive => live_buffer,
        /// The memory for those messages, in bytes, for each different subscription: 64 KiB at most, where all together take
        /// 256 MiB. What is made ready for those that catch up has as much of its own, 1 MiB for each, unless one message alone
        /// has more.
        "graphql-live-buffer-bytes" "YADO_GRAPHQL_LIVE_BUFFER_BYTES" live_buffer_bytes: Positive => live_buffer_bytes,
        /// The time in which a new socket has to begin the protocol, in milliseconds.
        "graphql-socket-init-ms" "YADO_GRAPHQL_SOCKET_INIT_MS" socket_init_ms: Positive => socket_init_ms,
        /// The pause between two signs of life on a socket or a stream of events, in milliseconds.
        "graphql-keep-alive-ms" "YADO_GRAPHQL_KEEP_ALIVE_MS" keep_alive_ms: Positive => keep_alive_ms,
        /// The time in which a socket has to take a message, and subscribers half of those that are kept; and for which it
        /// is tried to look up what a message shows, in milliseconds.
        "graphql-slow-ms" "YADO_GRAPHQL_SLOW_MS" slow_ms: Positive => slow_ms,
    }
}

table! {
    /// `[limits]`: queues, batches and times of the engine.
    LimitKeys for yado_engine::Settings, "Engine" {
        /// Loops that decide. Each stream belongs to one of them.
        "limits-shards" "YADO_LIMITS_SHARDS" shards: Positive => shards,
        /// Commands that may wait for a loop. One more is refused.
        "limits-shard-queue" "YADO_LIMITS_SHARD_QUEUE" shard_queue: Positive => shard_queue,
        /// Bytes of arguments that commands under way may have together. One more command is refused at once.
        "limits-queued-bytes" "YADO_LIMITS_QUEUED_BYTES" queued_bytes: Positive => queued_bytes,
        /// Bytes of events and states that may be decided and not recorded yet. A command that finds no room is refused.
        "limits-decided-bytes" "YADO_LIMITS_DECIDED_BYTES" decided_bytes: Positive => decided_bytes,
        /// Commands of one stream that may be decided ahead of a commit.
        "limits-ahead" "YADO_LIMITS_AHEAD" ahead: Positive => ahead,
        /// State that stays in memory, in bytes.
        "limits-resident-bytes" "YADO_LIMITS_RESIDENT_BYTES" resident_bytes: Natural => resident_bytes,
        /// Groups of appends that may wait for the log.
        "limits-lane-queue" "YADO_LIMITS_LANE_QUEUE" lane_queue: Positive => lane_queue,
        /// Events in one transaction.
        "limits-lane-events" "YADO_LIMITS_LANE_EVENTS" lane_events: Positive => lane_events,
        /// Payload in one transaction, in bytes.
        "limits-lane-bytes" "YADO_LIMITS_LANE_BYTES" lane_bytes: Positive => lane_bytes,
        /// Attempts at a transaction when the database fails in passing.
        "limits-lane-attempts" "YADO_LIMITS_LANE_ATTEMPTS" lane_attempts: SmallPositive => lane_attempts,
        /// Events just recorded that stay in memory for those who follow the log.
        "limits-feed-events" "YADO_LIMITS_FEED_EVENTS" feed_events: Natural => feed_events,
        /// The memory that those events may take, in bytes.
        "limits-feed-bytes" "YADO_LIMITS_FEED_BYTES" feed_bytes: Natural => feed_bytes,
        /// The pause between two announcements of commits to other processes, in milliseconds.
        "limits-announce-ms" "YADO_LIMITS_ANNOUNCE_MS" announce_ms: Natural => announce_ms,
        /// Events of one decision.
        "limits-decision-events" "YADO_LIMITS_DECISION_EVENTS" decision_events: Positive => decision_events,
        /// The payload of one command, in bytes.
        "limits-payload-bytes" "YADO_LIMITS_PAYLOAD_BYTES" payload_bytes: Positive => payload_bytes,
        /// References of one command.
        "limits-references" "YADO_LIMITS_REFERENCES" references: Natural => references,
        /// Events between two snapshots of a stream.
        "limits-snapshot-events" "YADO_LIMITS_SNAPSHOT_EVENTS" snapshot_events: Positive => snapshot_events,
        /// How long an answer is kept for repetitions of its request, in milliseconds.
        "limits-answers-kept-ms" "YADO_LIMITS_ANSWERS_KEPT_MS" answers_kept_ms: Positive => answers_kept_ms,
        /// How often a command is decided anew because another process was faster.
        "limits-conflict-retries" "YADO_LIMITS_CONFLICT_RETRIES" conflict_retries: SmallNatural => conflict_retries,
        /// How long the answer of a database is waited for, in milliseconds.
        "limits-database-ms" "YADO_LIMITS_DATABASE_MS" database_ms: Positive => database_ms,
        /// The time for one command, in milliseconds.
        "limits-command-ms" "YADO_LIMITS_COMMAND_MS" command_ms: Positive => command_ms,
        /// Requests that read at the same time.
        "limits-queries-max" "YADO_LIMITS_QUERIES_MAX" queries_max: Positive => queries_max,
        /// Requests that may wait until they can read. One more is refused at once.
        "limits-queries-waiting" "YADO_LIMITS_QUERIES_WAITING" queries_waiting: Natural => queries_waiting,
        /// Queries that guests answer at the same time.
        "limits-guest-queries-max" "YADO_LIMITS_GUEST_QUERIES_MAX" guest_queries_max: Positive => guest_queries_max,
        /// Rows that a guest may read to answer one query, in bytes.
        "limits-query-rows-bytes" "YADO_LIMITS_QUERY_ROWS_BYTES" query_rows_bytes: Natural => query_rows_bytes,
        /// The time for one read, in milliseconds.
        "limits-query-ms" "YADO_LIMITS_QUERY_MS" query_ms: Positive => query_ms,
        /// How long a reader waits for a read model to show a change, in milliseconds.
        "limits-caught-up-ms" "YADO_LIMITS_CAUGHT_UP_MS" caught_up_ms: Positive => caught_up_ms,
        /// Events that are read or projected in one go.
        "limits-batch" "YADO_LIMITS_BATCH" batch: SmallPositive => batch,
        /// Events of which a projection that has a long way to go gathers the changes for one transaction.
        "limits-gathered-events" "YADO_LIMITS_GATHERED_EVENTS" gathered_events: Positive => gathered_events,
        /// Rows that a projection gathers for one transaction, in bytes.
        "limits-gathered-bytes" "YADO_LIMITS_GATHERED_BYTES" gathered_bytes: Positive => gathered_bytes,
        /// How long changes of rows gather while events keep coming and nobody waits for them, in milliseconds.
        "limits-gather-ms" "YADO_LIMITS_GATHER_MS" gather_ms: Natural => gather_ms,
        /// Rows that projections keep in memory because they may change again soon, in bytes.
        "limits-rows-kept-bytes" "YADO_LIMITS_ROWS_KEPT_BYTES" rows_kept_bytes: Natural => rows_kept_bytes,
        /// Positions of the log for which changes of rows are kept, for those who listen and come back; where tables are
        /// filled anew, changes of a fifth as many of the last events are told.
        "limits-changes-kept" "YADO_LIMITS_CHANGES_KEPT" changes_kept: Natural => changes_kept,
        /// Changes of rows that stay in memory for those who listen, in bytes.
        "limits-changes-memory-bytes" "YADO_LIMITS_CHANGES_MEMORY_BYTES" changes_memory_bytes: Natural => changes_memory_bytes,
        /// How often the log is looked at for events of other processes, in milliseconds.
        "limits-poll-ms" "YADO_LIMITS_POLL_MS" poll_ms: Positive => poll_ms,
        /// The longest pause between two attempts of a projection that fails, in milliseconds.
        "limits-projection-retry-ms" "YADO_LIMITS_PROJECTION_RETRY_MS" projection_retry_ms: Positive => projection_retry_ms,
        /// Attempts at an event at which a projection fails, before its stream is parked.
        "limits-poison-attempts" "YADO_LIMITS_POISON_ATTEMPTS" poison_attempts: SmallPositive => poison_attempts,
        /// Streams of a tenant that one projection parks at most. Beyond that all of the tenant waits, for that projection.
        "limits-parked-streams" "YADO_LIMITS_PARKED_STREAMS" parked_streams: SmallNatural => parked_streams,
        /// Dead letters that one projection has at most, of all tenants. Beyond that it stands.
        "limits-parked-letters" "YADO_LIMITS_PARKED_LETTERS" parked_letters: SmallNatural => parked_letters,
        /// How long a projection may have events to show without getting on, before it is told of, in milliseconds.
        "limits-stalled-ms" "YADO_LIMITS_STALLED_MS" stalled_ms: Positive => stalled_ms,
        /// How long new code may fill its read models without getting on, before it is refused, in milliseconds.
        "limits-deploy-stalled-ms" "YADO_LIMITS_DEPLOY_STALLED_MS" deploy_stalled_ms: Positive => deploy_stalled_ms,
        /// How long the table of a replaced read model is kept, in milliseconds.
        "limits-retire-ms" "YADO_LIMITS_RETIRE_MS" retire_ms: Natural => retire_ms,
        /// How long tables that another process has left, and that nobody uses, are kept, in milliseconds.
        "limits-unused-ms" "YADO_LIMITS_UNUSED_MS" unused_ms: Natural => unused_ms,
    }
}
