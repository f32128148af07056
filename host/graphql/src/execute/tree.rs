//! Which fields a selection comes to: fragments unfolded, skipped ones left out, and those of one name merged.

use std::collections::{HashMap, HashSet};

use async_graphql::parser::types::{
    Directive, ExecutableDocument, Field, OperationDefinition, Selection, SelectionSet,
};
use async_graphql::{Name, Positioned};
use async_graphql_value::Value;

use crate::api::{self, Api};
use crate::document;
use crate::input::Variables;

/// Up to so many fields the one of a name is found by looking at each; beyond, a map pays.
const FEW: usize = 16;

/// A field of the answer.
pub(super) struct Selected<'d> {
    /// Its name in the answer.
    pub(super) key: &'d Name,
    /// Where it is first selected. Validation has seen to it that its arguments are the same everywhere.
    pub(super) first: &'d Positioned<Field>,
    /// Where else it is selected, which it hardly ever is; what is selected below is merged.
    more: Vec<&'d Positioned<Field>>,
    /// What the API says of it. What is asked about the schema itself is not there.
    pub(super) field: Option<&'d api::Field>,
    /// What is selected of it.
    pub(super) below: Vec<Self>,
}

impl<'d> Selected<'d> {
    /// The name of the field.
    pub(super) fn name(&self) -> &'d str {
        self.first.node.name.node.as_str()
    }
}

/// The fields that an operation comes to, in the document's order. It has been found not to unfold to too much.
pub(super) fn collect<'d>(
    api: &'d Api,
    document: &'d ExecutableDocument,
    variables: &Variables<'_>,
    operation: &'d OperationDefinition,
) -> Vec<Selected<'d>> {
    let sets = [&operation.selection_set.node];
    of_type(api, document, variables, document::root(operation), &mut sets.into_iter())
}

/// The fields that several selections on objects of one type come to.
fn of_type<'d>(
    api: &'d Api,
    document: &'d ExecutableDocument,
    variables: &Variables<'_>,
    ty: &str,
    sets: &mut dyn Iterator<Item = &'d SelectionSet>,
) -> Vec<Selected<'d>> {
    let (seen, places) = (HashSet::new(), HashMap::new());
    let mut collector = Collector { document, variables, ty, seen, fields: Vec::new(), places };
    sets.for_each(|set| collector.set(set));
    let mut fields = collector.fields;
    let Some(object) = api.object(ty) else { return fields };
    for one in &mut fields {
        one.field = object.field(one.name());
        if let Some(field) = one.field
            && !one.first.node.selection_set.node.items.is_empty()
        {
            let all = [one.first].into_iter().chain(one.more.iter().copied());
            let mut sets = all.map(|field| &field.node.selection_set.node);
            one.below = of_type(api, document, variables, field.ty.type_name(), &mut sets);
        }
    }
    fields
}

struct Collector<'d, 'v> {
    document: &'d ExecutableDocument,
    variables: &'v Variables<'v>,
    ty: &'v str,
    seen: HashSet<&'d Name>,
    fields: Vec<Selected<'d>>,
    /// Where the fields are, by their names, if there are more than a few.
    places: HashMap<&'d Name, usize>,
}

impl<'d> Collector<'d, '_> {
    fn set(&mut self, set: &'d SelectionSet) {
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) if self.wanted(&field.node.directives) => {
                    self.field(field);
                }
                Selection::InlineFragment(inline) if self.wanted(&inline.node.directives) => {
                    let on = inline.node.type_condition.as_ref().map(|condition| condition.node.on.node.as_str());
                    if on.is_none_or(|on| on == self.ty) {
                        self.set(&inline.node.selection_set.node);
                    }
                }
                Selection::FragmentSpread(spread) if self.wanted(&spread.node.directives) => {
                    let name = &spread.node.fragment_name.node;
                    let Some(fragment) = self.document.fragments.get(name) else { continue };
                    if fragment.node.type_condition.node.on.node.as_str() == self.ty && self.seen.insert(name) {
                        self.set(&fragment.node.selection_set.node);
                    }
                }
                _ => {}
            }
        }
    }

    fn field(&mut self, field: &'d Positioned<Field>) {
        let key = &field.node.response_key().node;
        let place = match self.fields.len() {
            0..=FEW => self.fields.iter().position(|known| known.key == key),
            _ => self.places.get(key).copied(),
        };
        if let Some(known) = place.and_then(|place| self.fields.get_mut(place)) {
            known.more.push(field);
            return;
        }
        self.fields.push(Selected { key, first: field, more: Vec::new(), field: None, below: Vec::new() });
        if self.fields.len() > FEW {
            let noted = self.places.len();
            let places = self.fields.iter().enumerate().skip(noted);
            self.places.extend(places.map(|(at, known)| (known.key, at)));
        }
    }

    /// Whether `@skip` and `@include` let it be.
    fn wanted(&self, directives: &[Positioned<Directive>]) -> bool {
        directives.iter().all(|directive| {
            let condition = directive.node.get_argument("if").map(|argument| &argument.node);
            let holds = match condition {
                Some(Value::Boolean(value)) => *value,
                Some(Value::Variable(name)) => self.variables.is_true(name),
                _ => false,
            };
            match directive.node.name.node.as_str() {
                "skip" => !holds,
                "include" => holds,
                _ => true,
            }
        })
    }
}
