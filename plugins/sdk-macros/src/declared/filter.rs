//! What `#[filter(…)]` says: how columns stand to an argument, or must not.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::meta::ParseNestedMeta;
use syn::parse::Parser as _;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Ident, Token, parenthesized};

use super::{Declared, negated, path};
use crate::attribute;
use crate::field::Field;

/// How a column may stand to an argument. The SDK has a function for each, which holds their types against each other.
const WORDS: [&str; 11] = [
    "is",
    "is_not",
    "any_of",
    "above",
    "below",
    "at_least",
    "at_most",
    "contains",
    "starts_with",
    "ends_with",
    "missing",
];

/// What one `#[filter(…)]` says.
#[derive(Default)]
pub(super) struct Filter {
    columns: Vec<Ident>,
    compared: Vec<Compared>,
    not: bool,
}

/// How the columns stand to the argument, or to a field of it.
struct Compared {
    word: Ident,
    part: Option<Ident>,
}

/// The filters of an argument.
pub(super) fn filters(field: &Field) -> syn::Result<Vec<Filter>> {
    let mut filters = Vec::new();
    for attribute in field.attributes.iter().filter(|attribute| attribute.path().is_ident("filter")) {
        let mut filter = Filter::default();
        if !matches!(attribute.meta, syn::Meta::Path(_)) {
            attribute.parse_nested_meta(|meta| filter.add(&meta))?;
        }
        if filter.columns.is_empty() {
            return Err(syn::Error::new(attribute.span(), "which column? Say `#[filter(name)]`"));
        }
        if filter.compared.is_empty() {
            filter.compared.push(Compared { word: Ident::new(WORDS[0], attribute.span()), part: None });
        }
        filters.push(filter);
    }
    Ok(filters)
}

impl Filter {
    /// Adds a word: first which columns, then how they are compared; or `not(…)` around all of that.
    fn add(&mut self, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
        if self.not {
            return Err(meta.error("`not(…)` is around all that the filter says: `#[filter(not(name, contains))]`"));
        }
        let word = meta.path.get_ident().cloned();
        let word = word.ok_or_else(|| meta.error("a column has a plain name, as the row's field"))?;
        let around = meta.input.peek(syn::token::Paren);
        if !self.columns.is_empty() {
            if !WORDS.iter().any(|known| word == known) {
                return Err(attribute::unknown(meta, &WORDS));
            }
            let part = if meta.input.peek(Token![=]) { Some(meta.value()?.parse()?) } else { None };
            self.compared.push(Compared { word, part });
        } else if word == "any" && around {
            self.columns = several(meta)?;
        } else if word == "not" && around {
            let within;
            parenthesized!(within in meta.input);
            let mut inner = Self::default();
            syn::meta::parser(|meta| inner.add(&meta)).parse2(within.parse()?)?;
            *self = Self { not: !inner.not, ..inner };
        } else {
            self.columns = vec![word];
        }
        Ok(())
    }

    /// The column that is equal to the argument, if that is what it says.
    pub(super) fn equal(&self) -> Option<&Ident> {
        match self.columns.as_slice() {
            [column] if !self.not && self.compared.iter().any(|compared| compared.word == WORDS[0]) => Some(column),
            _ => None,
        }
    }

    /// The conditions that it comes to: of several comparisons each is one of its own. The opposite of all is the opposite
    /// of any.
    pub(super) fn conditions(&self, query: &Declared<'_>, field: &Field) -> Vec<TokenStream> {
        let each = self.compared.iter().map(|compared| {
            let columns = self.columns.iter().map(|column| compared.condition(query, field, column)).collect();
            any(columns)
        });
        if self.not { vec![any(each.map(|condition| negated(&condition)).collect())] } else { each.collect() }
    }
}

impl Compared {
    /// How one column stands to the argument.
    fn condition(&self, query: &Declared<'_>, field: &Field, column: &Ident) -> TokenStream {
        let Self { word, part } = self;
        let (shown, argument, path) =
            (query.column(column), query.argument(field, part.as_ref()), path(field, part.as_ref()));
        let span = part.as_ref().map_or_else(|| field.ty.span(), Ident::span);
        quote_spanned!(span=> ::yado_sdk::__private::declared::#word(#shown, #argument, #path))
    }
}

/// At least one of these.
fn any(conditions: Vec<TokenStream>) -> TokenStream {
    match conditions.as_slice() {
        [only] => only.clone(),
        several => quote!(::yado_sdk::__private::declared::any(::std::vec![#(#several),*])),
    }
}

/// `(first_name, last_name)`.
fn several(meta: &ParseNestedMeta<'_>) -> syn::Result<Vec<Ident>> {
    let inside;
    let paren = parenthesized!(inside in meta.input);
    let columns: Vec<_> = Punctuated::<Ident, Token![,]>::parse_terminated(&inside)?.into_iter().collect();
    if columns.is_empty() {
        return Err(syn::Error::new(paren.span.join(), "any of which columns? Say `any(first_name, last_name)`"));
    }
    Ok(columns)
}
