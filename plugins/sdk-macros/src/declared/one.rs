//! Whether a query with `one` says which row it answers with.
//!
//! What falls away with an argument that is left out would leave some row or other. So either the row is named, by columns
//! that no two rows have alike; or it is the first of an order, and nothing falls away. Which arguments can be left out is
//! seen by how their types are written, and the host looks more closely.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::Ident;

use super::Declared;
use super::filter::Filter;
use super::says::Constant;
use crate::attribute;
use crate::field::Field;

const REFUSAL: &str = "a query with `one` says which row that is: filter by the key, or by what is unique, with arguments that \
                       are no `Option`; or give it an `order`, and only arguments that are no `Option`";

/// What has been said so far.
pub(super) struct One {
    /// Columns that are equal to something in every call.
    equal: Vec<String>,
    /// Whether some condition falls away where its argument is left out.
    falls_away: bool,
}

impl One {
    pub(super) fn new(only: &[Constant]) -> Self {
        let equal = only.iter().filter(|constant| !constant.not);
        Self { equal: equal.map(|constant| attribute::camel(&constant.column)).collect(), falls_away: false }
    }

    /// Adds what a filter by an argument says.
    pub(super) fn add(&mut self, field: &Field, filter: &Filter) {
        if field.looks_optional() {
            self.falls_away();
        } else {
            self.equal.extend(filter.equal().map(|column: &Ident| attribute::camel(column)));
        }
    }

    /// There is a condition that may fall away.
    pub(super) const fn falls_away(&mut self) {
        self.falls_away = true;
    }

    /// An item that refuses a query that does not say which row.
    pub(super) fn check(&self, query: &Declared<'_>, ordered: bool) -> TokenStream {
        if ordered && !self.falls_away {
            return quote!();
        }
        let (of, equal) = (query.of, &self.equal);
        quote_spanned! {query.ident.span()=>
            const _: () = ::core::assert!(
                ::yado_sdk::__private::declared::names_a_row::<#of>(&[#(#equal),*]),
                #REFUSAL
            );
        }
    }
}
