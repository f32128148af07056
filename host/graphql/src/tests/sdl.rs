//! The schema that manifests come to.

use std::sync::Arc;

use super::fixture::{Memory, fixture};
use crate::{GraphQl, Limits};

#[test]
fn the_schema_of_a_plugin_is_as_committed() {
    insta::assert_snapshot!(fixture().graphql.sdl());
}

#[test]
fn the_schema_of_an_empty_server_is_valid_and_has_no_mutations() {
    let graphql = GraphQl::over(&[], Arc::new(Memory::default()), Limits::default()).unwrap();
    let sdl = graphql.sdl();
    assert!(sdl.contains("yado: YadoServer!") && !sdl.contains("Mutation"), "{sdl}");
}

#[test]
fn the_same_plugins_give_the_same_schema() {
    assert_eq!(fixture().graphql.sdl(), fixture().graphql.sdl());
}
