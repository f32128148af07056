//! What `#[page(…)]` says: which arguments choose a page, and how long one is.

use proc_macro2::TokenStream;
use quote::quote_spanned;
use syn::spanned::Spanned;
use syn::{Ident, Token};

use super::{Declared, path, says};
use crate::attribute;
use crate::field::Field;

/// How many rows a page has if neither its author nor the caller says.
const ROWS: u32 = 20;

/// What has been said so far, of all arguments together.
#[derive(Default)]
pub(super) struct Paged {
    number: Option<TokenStream>,
    size: Option<TokenStream>,
    default: Option<u32>,
}

/// What a query that answers with pages has to say.
pub(super) struct Parts {
    pub(super) number: TokenStream,
    pub(super) size: TokenStream,
    pub(super) default: u32,
}

impl Paged {
    /// Which parts have been said.
    pub(super) const fn parts(&self) -> (bool, bool) {
        (self.number.is_some(), self.size.is_some())
    }

    /// Adds what an argument says.
    pub(super) fn add(&mut self, query: &Declared<'_>, field: &Field) -> syn::Result<()> {
        attribute::each(&field.attributes, "page", |meta| {
            let place = match meta.path.get_ident().map(ToString::to_string).as_deref() {
                Some("number") => &mut self.number,
                Some("size") => &mut self.size,
                Some("default") => {
                    self.default = Some(says::number(&meta)?);
                    return Ok(());
                }
                _ => return Err(attribute::unknown(&meta, &["number = page", "size = limit", "default = 20"])),
            };
            let part = if meta.input.peek(Token![=]) { Some(meta.value()?.parse::<Ident>()?) } else { None };
            let (argument, path) = (query.argument(field, part.as_ref()), path(field, part.as_ref()));
            let span = part.as_ref().map_or_else(|| field.ty.span(), Ident::span);
            let found = quote_spanned!(span=> ::yado_sdk::__private::declared::whole(#argument, #path));
            match place.replace(found) {
                None => Ok(()),
                Some(_) => Err(meta.error("a page has one number and one size")),
            }
        })
    }

    /// What a query without pages may have said: nothing.
    pub(super) fn none(self) -> syn::Result<()> {
        match self.number.or(self.size) {
            None => Ok(()),
            Some(path) => Err(syn::Error::new(path.span(), "only what answers with a `page(…)` has pages")),
        }
    }

    /// What a query with pages has said.
    pub(super) fn all(self, query: &Ident) -> syn::Result<Parts> {
        let (Some(number), Some(size)) = (self.number, self.size) else {
            let message = "which argument says which page, and which how many to a page? Mark them with `#[page(number)]` \
                           and `#[page(size)]`, or one that holds both with `#[page(number = page, size = limit)]`";
            return Err(syn::Error::new(query.span(), message));
        };
        Ok(Parts { number, size, default: self.default.unwrap_or(ROWS) })
    }
}
