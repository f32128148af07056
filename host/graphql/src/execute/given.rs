//! What is wrong with what an operation is given, found before any of it runs.

use async_graphql::ServerError;
use async_graphql::parser::types::{ExecutableDocument, OperationDefinition};

use super::path::Path;
use super::tree;
use crate::api::{Api, MUTATION, QUERY};
use crate::document;
use crate::input::{self, Variables};

/// What is wrong with the arguments of an operation's own fields: an error for each field, with all of its problems.
/// Validation would find the first of them, and not say in a form for programs where it is.
pub(crate) fn wrong(
    api: &Api,
    document: &ExecutableDocument,
    operation: &OperationDefinition,
    variables: &Variables,
) -> Vec<ServerError> {
    let root = if document::is_mutation(operation) { MUTATION } else { QUERY };
    let selected = tree::collect(document, variables, root, &[&operation.selection_set.node]);
    let wrong = |one: &tree::Selected<'_>| {
        // What is not there is found by validation, and introspection has arguments of its own.
        let field = api.object(root)?.field(one.first.node.name.node.as_str())?;
        let error = input::arguments(api, field, &one.first.node, variables).err()?;
        Some(error.at(Some(one.first.pos), Path::root().field(one.key.clone()).segments()))
    };
    selected.iter().filter_map(wrong).collect()
}
