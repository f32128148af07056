//! How the engine stands.

/// How the engine stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Whether it can take requests. A read model that lags does not keep it from that.
    pub ready: bool,
    /// What was looked at.
    pub checks: Vec<Check>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What.
    pub name: String,
    /// Whether it is well.
    pub ok: bool,
    /// What there is to say about it.
    pub detail: String,
}
