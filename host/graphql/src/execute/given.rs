//! What an operation's own fields are given, read before any of them runs.

use async_graphql::ServerError;
use async_graphql::parser::types::{ExecutableDocument, OperationDefinition};

use super::path::Places;
use super::tree::{self, Selected};
use crate::api::Api;
use crate::input::{self, Arguments, Variables};

/// A field of an operation itself, with its arguments.
pub(crate) struct Root<'d> {
    pub(super) selected: Selected<'d>,
    /// None for what the API does not have: introspection has arguments of its own, and what is not there at all is found
    /// by validation.
    pub(super) arguments: Option<Arguments<'d>>,
}

/// Reads the arguments of an operation's own fields.
///
/// # Errors
/// One for each field, with all of its problems. Validation would find the first of them, and not say in a form for
/// programs where it is.
pub(crate) fn roots<'d>(
    api: &'d Api,
    document: &'d ExecutableDocument,
    operation: &'d OperationDefinition,
    variables: &Variables<'_>,
) -> Result<Vec<Root<'d>>, Vec<ServerError>> {
    let (mut roots, mut wrong) = (Vec::new(), Vec::new());
    for selected in tree::collect(api, document, variables, operation) {
        match selected.field.map(|field| input::arguments(api, field, &selected.first.node, variables)).transpose() {
            Ok(arguments) => roots.push(Root { selected, arguments }),
            Err(error) => {
                wrong.push(error.at(Some(selected.first.pos), Places::Field(&Places::Top, selected.key).first(1)));
            }
        }
    }
    if wrong.is_empty() { Ok(roots) } else { Err(wrong) }
}
