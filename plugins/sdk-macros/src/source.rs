//! `#[derive(Events)]`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Fields, Type};

use crate::attribute;

pub(crate) fn expand(item: &DeriveInput) -> syn::Result<TokenStream> {
    attribute::no_generics(item)?;
    let Data::Enum(data) = &item.data else {
        let message = "make it an enum, with a variant for each aggregate: `Product(Recorded<ProductEvent>)`";
        return Err(syn::Error::new(item.ident.span(), message));
    };
    let mut sources = Vec::new();
    for variant in &data.variants {
        let ty: &Type = match &variant.fields {
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => &fields.unnamed[0].ty,
            other => {
                let ident = &variant.ident;
                let message =
                    format!("a variant holds the recorded events of one aggregate: `{ident}(Recorded<{ident}Event>)`");
                let span = if matches!(other, Fields::Unit) { ident.span() } else { other.span() };
                return Err(syn::Error::new(span, message));
            }
        };
        sources.push((&variant.ident, quote_spanned!(ty.span()=> <#ty as ::yado_sdk::Source>)));
    }
    let listed = sources.iter().map(|(_, source)| quote!(sources.extend(#source::sources());));
    let read = sources.iter().map(|(ident, source)| {
        quote! {
            if #source::hears(&recorded) {
                return #source::read(recorded).map(Self::#ident);
            }
        }
    });
    let heard = sources.iter().map(|(_, source)| source);
    let ident = &item.ident;
    let error = quote!(::yado_sdk::__private::json::Unreadable);
    Ok(quote! {
        #[automatically_derived]
        impl ::yado_sdk::Source for #ident {
            fn sources() -> ::std::vec::Vec<::yado_sdk::__private::manifest::EventSource> {
                let mut sources = ::std::vec::Vec::new();
                #(#listed)*
                sources
            }

            fn hears(recorded: &::yado_sdk::__private::bindings::types::RecordedEvent) -> bool {
                false #(|| #heard::hears(recorded))*
            }

            fn read(
                recorded: ::yado_sdk::__private::bindings::types::RecordedEvent,
            ) -> ::core::result::Result<Self, #error> {
                #(#read)*
                ::core::result::Result::Err(#error::unknown("event", &recorded.event.name))
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    #[test]
    fn what_holds_no_recorded_events_is_refused() {
        let refusal = |item: DeriveInput| expand(&item).unwrap_err().to_string();
        let variant = "a variant holds the recorded events of one aggregate: `Room(Recorded<RoomEvent>)`";
        assert_eq!(
            refusal(parse_quote!(
                enum Change {
                    Room,
                }
            )),
            variant
        );
        assert_eq!(
            refusal(parse_quote!(
                enum Change {
                    Room { beds: u32 },
                }
            )),
            variant
        );
        assert!(
            refusal(parse_quote!(
                struct Change;
            ))
            .starts_with("make it an enum")
        );
    }
}
