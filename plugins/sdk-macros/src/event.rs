//! `#[derive(Event)]`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{DeriveInput, LitInt, Path, Variant};

use crate::attribute;
use crate::message;

struct Says {
    version: u32,
    /// For each older version, what brings it up to date.
    from: Vec<(u32, Path)>,
}

pub(crate) fn expand(item: &DeriveInput) -> syn::Result<TokenStream> {
    let messages = message::variants(item, "event")?;
    let of = message::aggregate(item, "event", "Event")?;
    let says = messages.iter().map(|message| says(message.variant)).collect::<syn::Result<Vec<_>>>()?;
    let coding = message::coding(&messages, "event", |at| says[at].version);
    let names = messages.iter().map(|message| &message.name);
    let described = messages.iter().zip(&says).map(|(message, says)| {
        let (name, docs, version) = (&message.name, &message.docs, says.version);
        let shapes = message.fields.iter().map(|field| field.schema(&TokenStream::new()));
        quote! {
            ::yado_sdk::__private::manifest::Event {
                name: #name,
                description: #docs,
                version: #version,
                payload: ::yado_sdk::__private::schema::Schema::object(::std::vec![#(#shapes),*]),
            }
        }
    });
    let upcasts = messages.iter().zip(&says).flat_map(|(message, says)| {
        let name = &message.name;
        says.from.iter().map(move |(version, convert)| {
            let call = quote_spanned!(convert.span()=> ::yado_sdk::__private::upcast_by(#convert, name, payload));
            quote!((#name, #version) => #call,)
        })
    });
    let ident = &item.ident;
    let error = quote!(::yado_sdk::__private::json::Unreadable);
    Ok(quote! {
        #[automatically_derived]
        impl ::yado_sdk::Event for #ident {
            type Of = #of;
            const NAMES: &'static [&'static str] = &[#(#names),*];

            #coding

            fn upcast(
                name: &str,
                version: u32,
                payload: &str,
            ) -> ::core::result::Result<::std::vec::Vec<Self>, #error> {
                match (name, version) {
                    #(#upcasts)*
                    _ => ::core::result::Result::Ok(::std::vec![<Self as ::yado_sdk::Event>::decode(name, payload)?]),
                }
            }

            fn describe() -> ::std::vec::Vec<::yado_sdk::__private::manifest::Event> {
                ::std::vec![#(#described),*]
            }
        }
    })
}

fn says(variant: &Variant) -> syn::Result<Says> {
    let mut says = Says { version: 1, from: Vec::new() };
    attribute::each(&variant.attrs, "event", |meta| {
        let word = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
        if word == "version" {
            let number: LitInt = meta.value()?.parse()?;
            says.version = number.base10_parse()?;
            if says.version == 0 {
                return Err(syn::Error::new(number.span(), "versions are counted from 1"));
            }
        } else if let Some(older) = word.strip_prefix("from_v").and_then(|version| version.parse().ok()) {
            says.from.push((older, meta.value()?.parse()?));
        } else {
            return Err(attribute::unknown(&meta, &["version = 2", "from_v1 = convert"]));
        }
        Ok(())
    })?;
    if let Some((older, path)) = says.from.iter().find(|(older, _)| *older == 0 || *older >= says.version) {
        let message = format!("version {older} is not older than the current one, which is {}", says.version);
        return Err(syn::Error::new(path.span(), message));
    }
    if let Some(missing) = (1..says.version).find(|version| !says.from.iter().any(|(older, _)| older == version)) {
        let message = format!(
            "events of version {missing} are in logs for ever: say how they become events of today, by `from_v{missing} = \
             …`, a function of the fields that they had"
        );
        return Err(syn::Error::new(variant.ident.span(), message));
    }
    Ok(says)
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    fn refusal(item: DeriveInput) -> String {
        expand(&item).unwrap_err().to_string()
    }

    #[test]
    fn a_version_that_can_not_be_read_any_more_is_refused() {
        let item: DeriveInput = parse_quote!(
            enum BasketEvent {
                #[event(version = 3, from_v1 = old)]
                Filled { grams: u32 },
            }
        );
        assert_eq!(
            refusal(item),
            "events of version 2 are in logs for ever: say how they become events of today, by `from_v2 = …`, a function \
             of the fields that they had"
        );
    }

    #[test]
    fn versions_that_make_no_sense_are_refused() {
        assert_eq!(
            refusal(parse_quote!(
                enum BasketEvent {
                    #[event(from_v1 = old)]
                    Filled,
                }
            )),
            "version 1 is not older than the current one, which is 1"
        );
        assert_eq!(
            refusal(parse_quote!(
                enum BasketEvent {
                    #[event(version = 0)]
                    Filled,
                }
            )),
            "versions are counted from 1"
        );
        assert_eq!(
            refusal(parse_quote!(
                enum BasketEvent {
                    #[event(since = 2)]
                    Filled,
                }
            )),
            "`since` means nothing here; what does: `version = 2`, `from_v1 = convert`"
        );
    }

    #[test]
    fn an_older_version_goes_through_its_function() {
        let item: DeriveInput = parse_quote!(
            enum BasketEvent {
                #[event(version = 2, from_v1 = euros)]
                Priced { price: Decimal },
            }
        );
        let text = expand(&item).unwrap().to_string();
        assert!(
            text.contains("(\"Priced\" , 1u32) => :: yado_sdk :: __private :: upcast_by (euros , name , payload)"),
            "{text}"
        );
    }
}
