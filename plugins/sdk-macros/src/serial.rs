//! Serde for the author's own types.
//!
//! A derive can't put another derive on the item that it stands on. So the expansion holds a twin of the item, on which
//! serde's own derives stand, with the item as its `remote`: the fields are read and written in place, and how is serde's.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::spanned::Spanned;
use syn::{Attribute, Data, DeriveInput, Field, Fields, LitStr, Variant, parse_quote};

use crate::attribute;

/// A newtype: what it wraps, and nothing else.
pub(crate) fn wrapper(item: &DeriveInput) -> TokenStream {
    implement(item, &twin(item, |_| None, |_| None), None)
}

/// An enum without fields: a text each.
pub(crate) fn texts(item: &DeriveInput, name: impl Fn(&Variant) -> Option<String>) -> TokenStream {
    let renamed = |variant: &Variant| name(variant).map(|name| parse_quote!(#[serde(rename = #name)]));
    implement(item, &twin(item, |_| None, renamed), None)
}

/// A struct: an object with names as the API writes them.
///
/// What may be cleared (an `Option` of an `Option`) is left out of it where nothing is said. A state's encoding has no
/// names by which to leave something out, so there such a struct has another twin.
pub(crate) fn object(item: &DeriveInput) -> TokenStream {
    let named = |field: &Field| {
        let name = field.ident.as_ref().map(attribute::camel)?;
        if !attribute::looks_clearable(&field.ty) {
            return Some(parse_quote!(#[serde(rename = #name)]));
        }
        Some(parse_quote! {
            #[serde(
                rename = #name,
                default,
                skip_serializing_if = "::core::option::Option::is_none",
                deserialize_with = "::yado_sdk::__private::json::said"
            )]
        })
    };
    let clearable = match &item.data {
        Data::Struct(data) => data.fields.iter().any(|field| attribute::looks_clearable(&field.ty)),
        _ => false,
    };
    let compact = clearable.then(|| twin(item, |_| None, |_| None));
    implement(item, &twin(item, named, |_| None), compact.as_ref())
}

/// A state, or a part of one: whatever it is made of is a part, and if it is not, the field is told.
pub(crate) fn part(item: &DeriveInput) -> TokenStream {
    let bound = |field: &Field| {
        let by = LitStr::new("::yado_sdk::__private::part", field.ty.span());
        Some(parse_quote!(#[serde(with = #by)]))
    };
    implement(item, &twin(item, bound, |_| None), None)
}

/// The item with serde's attributes instead of its own; only `cfg` stays.
fn twin(
    item: &DeriveInput,
    of_field: impl Fn(&Field) -> Option<Attribute>,
    of_variant: impl Fn(&Variant) -> Option<Attribute>,
) -> DeriveInput {
    let mut twin = item.clone();
    twin.vis = syn::Visibility::Inherited;
    let dress = |fields: &mut Fields| {
        for field in fields {
            let attribute = of_field(field);
            field.attrs.retain(|attribute| attribute.path().is_ident("cfg"));
            field.attrs.extend(attribute);
        }
    };
    match &mut twin.data {
        Data::Struct(data) => dress(&mut data.fields),
        Data::Enum(data) => {
            for variant in &mut data.variants {
                let attribute = of_variant(variant);
                variant.attrs.retain(|attribute| attribute.path().is_ident("cfg"));
                variant.attrs.extend(attribute);
                dress(&mut variant.fields);
            }
        }
        Data::Union(_) => {}
    }
    twin
}

/// Both traits, by way of the twin; by way of `compact` where a state is read or written, if there is one.
fn implement(item: &DeriveInput, twin: &DeriveInput, compact: Option<&DeriveInput>) -> TokenStream {
    let ident = &item.ident;
    let remote = ident.to_string();
    let dressed = |twin: &DeriveInput, name: &str| {
        let mut twin = twin.clone();
        twin.ident = format_ident!("{name}");
        twin.attrs = vec![
            parse_quote!(#[derive(::yado_sdk::__private::serde::Serialize, ::yado_sdk::__private::serde::Deserialize)]),
            parse_quote!(#[serde(crate = "::yado_sdk::__private::serde", remote = #remote)]),
            parse_quote!(#[allow(dead_code, clippy::all)]),
        ];
        twin
    };
    let twin = dressed(twin, "__Twin");
    let compact = compact.map(|compact| dressed(compact, "__Compact"));
    let (compact_write, compact_read) = match &compact {
        None => (None, None),
        Some(_) => (
            Some(quote! {
                if !serializer.is_human_readable() {
                    return __Compact::serialize(self, serializer);
                }
            }),
            Some(quote! {
                if !deserializer.is_human_readable() {
                    return __Compact::deserialize(deserializer);
                }
            }),
        ),
    };
    quote! {
        #twin

        #compact

        #[automatically_derived]
        impl ::yado_sdk::__private::serde::Serialize for #ident {
            fn serialize<S: ::yado_sdk::__private::serde::Serializer>(
                &self,
                serializer: S,
            ) -> ::core::result::Result<S::Ok, S::Error> {
                #compact_write
                __Twin::serialize(self, serializer)
            }
        }

        #[automatically_derived]
        impl<'de> ::yado_sdk::__private::serde::Deserialize<'de> for #ident {
            fn deserialize<D: ::yado_sdk::__private::serde::Deserializer<'de>>(
                deserializer: D,
            ) -> ::core::result::Result<Self, D::Error> {
                #compact_read
                __Twin::deserialize(deserializer)
            }
        }
    }
}
