//! The numbers of built-in types, which never change.

pub(in super::super) const BOOL: u32 = 16;
pub(in super::super) const INT8: u32 = 20;
pub(in super::super) const INT4: u32 = 23;
pub(in super::super) const TEXT: u32 = 25;
pub(in super::super) const JSON: u32 = 114;
pub(in super::super) const FLOAT8: u32 = 701;
pub(in super::super) const TIMESTAMPTZ: u32 = 1184;
pub(in super::super) const UUID: u32 = 2950;

// Those of arrays.
pub(super) const BOOLS: u32 = 1000;
pub(in super::super) const TEXTS: u32 = 1009;
pub(super) const INT8S: u32 = 1016;
pub(super) const FLOAT8S: u32 = 1022;
pub(super) const TIMESTAMPTZS: u32 = 1185;
