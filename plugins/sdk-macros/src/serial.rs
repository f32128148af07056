//! Serde for the author's own types.
//!
//! A derive can't put another derive on the item that it stands on. So the expansion holds a twin of the item, on which
//! serde's own derives stand, with the item as its `remote`: the fields are read and written in place, and how is serde's.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Data, DeriveInput, Fields, Ident, parse_quote};

/// Implements `Serialize` and `Deserialize` for the item. `rename` gives fields and variants their names in JSON.
pub(crate) fn implement(item: &DeriveInput, rename: Option<fn(&Ident) -> String>) -> TokenStream {
    implement_with(item, rename, |variant| rename.map(|rename| rename(&variant.ident)))
}

/// The same, with the names of variants chosen one by one.
pub(crate) fn implement_with(
    item: &DeriveInput,
    rename: Option<fn(&Ident) -> String>,
    variant_name: impl Fn(&syn::Variant) -> Option<String>,
) -> TokenStream {
    let ident = &item.ident;
    let remote = ident.to_string();
    let mut twin = item.clone();
    twin.ident = format_ident!("__Twin");
    twin.vis = syn::Visibility::Inherited;
    twin.attrs = vec![
        parse_quote!(#[derive(::yado_sdk::__private::serde::Serialize, ::yado_sdk::__private::serde::Deserialize)]),
        parse_quote!(#[serde(crate = "::yado_sdk::__private::serde", remote = #remote)]),
        parse_quote!(#[allow(dead_code, clippy::all)]),
    ];
    match &mut twin.data {
        Data::Struct(data) => strip(&mut data.fields, rename),
        Data::Enum(data) => {
            for variant in &mut data.variants {
                let name = variant_name(variant);
                variant.attrs = name.map(|name| parse_quote!(#[serde(rename = #name)])).into_iter().collect();
                strip(&mut variant.fields, rename);
            }
        }
        Data::Union(_) => {}
    }
    quote! {
        #twin

        #[automatically_derived]
        impl ::yado_sdk::__private::serde::Serialize for #ident {
            fn serialize<S: ::yado_sdk::__private::serde::Serializer>(
                &self,
                serializer: S,
            ) -> ::core::result::Result<S::Ok, S::Error> {
                __Twin::serialize(self, serializer)
            }
        }

        #[automatically_derived]
        impl<'de> ::yado_sdk::__private::serde::Deserialize<'de> for #ident {
            fn deserialize<D: ::yado_sdk::__private::serde::Deserializer<'de>>(
                deserializer: D,
            ) -> ::core::result::Result<Self, D::Error> {
                __Twin::deserialize(deserializer)
            }
        }
    }
}

fn strip(fields: &mut Fields, rename: Option<fn(&Ident) -> String>) {
    for field in fields {
        let name = field.ident.as_ref().zip(rename).map(|(ident, rename)| rename(ident));
        field.attrs = name.map(|name| parse_quote!(#[serde(rename = #name)])).into_iter().collect();
    }
}
