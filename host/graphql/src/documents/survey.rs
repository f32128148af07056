//! What there is to know of a document before it is kept: what it takes, and what of it depends on variables.
//!
//! Variables that stand in arguments of an operation's own fields need no validation: those arguments are read for each
//! request before anything runs, and all that is wrong with them is told. A variable anywhere else is left to validation.

use async_graphql::parser::types::{BaseType, Directive, ExecutableDocument, Field, Selection, SelectionSet};
use async_graphql::{Positioned, Value as Const};
use async_graphql_value::Value;

use crate::api::{Api, MANY, ORDER, QUERY, Resolve, WHERE};
use crate::cost::PAGE_ARGUMENTS;

/// What a document is made of.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// The memory that it takes, roughly, and rather more than less.
    pub(super) bytes: usize,
    /// Whether a variable may say how long a page is, or along which relations conditions and orders lead.
    pub(super) variable_weight: bool,
    /// Whether validation may find something else when variables have other values, or has to answer something.
    pub(super) variable_checks: bool,
}

/// Whether a type is of conditions or of orders, by its name. One that only looks so costs its documents a little time.
fn holds_conditions(ty: &BaseType) -> bool {
    match ty {
        BaseType::Named(name) => [WHERE, MANY, ORDER].iter().any(|ending| name.ends_with(ending)),
        BaseType::List(inner) => holds_conditions(&inner.base),
    }
}

/// A part with a name takes the part, the name, and what allocators and maps add.
const fn part<T>() -> usize {
    2 * size_of::<T>() + 64
}

/// Whether a field is called as a declared query is. The author of such a query says which of its arguments is the size of
/// a page, so a variable in any of them may. A field of another type that has its name costs its documents a little time.
fn is_declared(api: &Api, field: &str) -> bool {
    let known = api.object(QUERY).and_then(|query| query.field(field));
    known.is_some_and(|known| matches!(known.resolve, Resolve::Query { rows: Some(_), .. }))
}

impl Survey {
    pub(super) fn of(api: &Api, document: &ExecutableDocument) -> Self {
        let mut survey = Self::default();
        for (_, operation) in document.operations.iter() {
            let operation = &operation.node;
            survey.bytes += part::<async_graphql::parser::types::OperationDefinition>();
            survey.directives(&operation.directives);
            for definition in &operation.variable_definitions {
                survey.bytes += part::<async_graphql::parser::types::VariableDefinition>();
                survey.directives(&definition.node.directives);
                // What conditions and orders weigh depends on the relations in them.
                survey.variable_weight |= holds_conditions(&definition.node.var_type.node.base);
                if let Some(default) = &definition.node.default_value {
                    survey.constant(&default.node);
                }
            }
            survey.set(api, &operation.selection_set.node, true);
        }
        for fragment in document.fragments.values() {
            survey.bytes += part::<async_graphql::parser::types::FragmentDefinition>();
            survey.directives(&fragment.node.directives);
            survey.set(api, &fragment.node.selection_set.node, false);
        }
        survey
    }

    fn set(&mut self, api: &Api, set: &SelectionSet, root: bool) {
        for selection in &set.items {
            self.bytes += part::<Positioned<Selection>>();
            self.directives(selection.node.directives());
            match &selection.node {
                Selection::Field(field) => self.field(api, &field.node, root),
                Selection::InlineFragment(inline) => self.set(api, &inline.node.selection_set.node, false),
                Selection::FragmentSpread(_) => {}
            }
        }
    }

    fn field(&mut self, api: &Api, field: &Field, root: bool) {
        // Introspection is answered by what validates, each time.
        self.variable_checks |= ["__schema", "__type"].contains(&field.name.node.as_str());
        for (name, value) in &field.arguments {
            let has_variable = self.value(&value.node);
            let weighs = || PAGE_ARGUMENTS.contains(&name.node.as_str()) || is_declared(api, &field.name.node);
            self.variable_weight |= has_variable && weighs();
            // A field that may be left out is not read where it is.
            self.variable_checks |= has_variable && !(root && field.directives.is_empty());
        }
        self.set(api, &field.selection_set.node, false);
    }

    fn directives(&mut self, directives: &[Positioned<Directive>]) {
        for directive in directives {
            self.bytes += part::<Positioned<Directive>>();
            for (_, value) in &directive.node.arguments {
                self.variable_checks |= self.value(&value.node);
            }
        }
    }

    /// Whether there is a variable in it.
    fn value(&mut self, value: &Value) -> bool {
        self.bytes += part::<Value>();
        match value {
            Value::Variable(_) => true,
            // All of them are counted, also behind the first variable.
            Value::List(items) => items.iter().filter(|item| self.value(item)).count() > 0,
            Value::Object(fields) => fields.values().filter(|field| self.value(field)).count() > 0,
            _ => false,
        }
    }

    fn constant(&mut self, value: &Const) {
        self.bytes += part::<Const>();
        match value {
            Const::List(items) => items.iter().for_each(|item| self.constant(item)),
            Const::Object(fields) => fields.values().for_each(|field| self.constant(field)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, document};

    fn survey(text: &str) -> Survey {
        Survey::of(&Api::default(), &document::parse(text, &Limits::default()).unwrap())
    }

    #[test]
    fn variables_of_the_root_are_no_matter_of_validation() {
        for (text, expected) in [
            ("query ($i: ID!) { a(b: $i) { c } }", false),
            ("query ($i: ID!) { a(b: [{ c: $i }]) { c } }", false),
            ("query ($i: ID!) { a { b(c: $i) } }", true),
            ("query ($i: ID!) { ...F } fragment F on Query { a(b: $i) }", true),
            ("query ($i: ID!) { ... on Query { a(b: $i) } }", true),
            ("query ($i: Boolean!) { a @skip(if: $i) }", true),
            ("query ($i: Boolean!) { a { b @skip(if: $i) } }", true),
            ("query ($i: ID!) { a(b: $i) @skip(if: true) }", true),
            ("query ($i: ID!) @d(a: $i) { a }", true),
            ("{ __schema { types { name } } }", true),
            ("{ ...F } fragment F on Query { __type(name: \"A\") { name } }", true),
            ("{ __typename a { b(c: 1) } }", false),
        ] {
            assert_eq!(survey(text).variable_checks, expected, "{text}");
        }
    }

    #[test]
    fn what_a_field_weighs_may_be_what_a_variable_says() {
        for (text, expected) in [
            ("query ($n: Int) { a(limit: $n) { b } }", true),
            ("query ($n: Int) { a { b(limit: $n) } }", true),
            ("query ($n: Int) { a(limit: 5, offset: $n) { b } }", false),
            ("query ($w: TicketWhere) { a(where: $w) { b } }", true),
            ("query ($w: [TicketMany!]) { a(where: { or: $w }) { b } }", true),
            ("query ($w: IdFilter) { a(where: { b: $w }) { b } }", false),
        ] {
            assert_eq!(survey(text).variable_weight, expected, "{text}");
        }
    }
}
