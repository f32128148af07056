//! `#[derive(Event)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, Path};

use crate::upcast::{self, History, Retired};
use crate::{attribute, message};

pub(crate) fn expand(item: &DeriveInput) -> syn::Result<TokenStream> {
    let messages = message::variants(item, "event")?;
    let (of, retired) = of_the_enum(item)?;
    let histories = messages.iter().map(|message| upcast::history(message.variant)).collect::<syn::Result<Vec<_>>>()?;
    let events: Vec<(&str, &History)> = messages.iter().map(|message| message.name.as_str()).zip(&histories).collect();
    upcast::unambiguous(item, &events, &retired)?;
    let coding = message::coding(&messages, "event", |at| histories[at].version);
    let upcast = upcast::expand(&events, &retired);
    let names = messages.iter().map(|message| &message.name);
    let described = messages.iter().zip(&histories).map(|(message, history)| {
        let (name, docs, version) = (&message.name, &message.docs, history.version);
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
    let ident = &item.ident;
    Ok(quote! {
        #[automatically_derived]
        impl ::yado_sdk::Event for #ident {
            type Of = #of;
            const NAMES: &'static [&'static str] = &[#(#names),*];

            #coding

            #upcast

            fn describe() -> ::std::vec::Vec<::yado_sdk::__private::manifest::Event> {
                ::std::vec![#(#described),*]
            }
        }
    })
}

/// What stands on the enum: whose events they are, and which are no more.
fn of_the_enum(item: &DeriveInput) -> syn::Result<(Path, Vec<Retired>)> {
    let mut of = attribute::without_suffix(&item.ident, "Event").map(Path::from);
    let mut retired = Vec::new();
    attribute::each(&item.attrs, "event", |meta| {
        if meta.path.is_ident("of") {
            of = Some(meta.value()?.parse()?);
        } else if let Some(event) = upcast::retired(&meta)? {
            retired.push(event);
        } else {
            return Err(attribute::unknown(&meta, &["of = Product", "retired(OldName, from_v1 = convert)"]));
        }
        Ok(())
    })?;
    let of = of.ok_or_else(|| message::of_which_aggregate(item, "event", "Event"))?;
    Ok((of, retired))
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
            "events of version 2 are in logs for ever: say how their fields become events of today, by `from_v2 = …`, a \
             function of the fields that they had"
        );
        let item: DeriveInput = parse_quote!(
            enum BasketEvent {
                #[event(version = 3, from_v2 = old)]
                Filled { grams: u32 },
            }
        );
        assert_eq!(
            refusal(item),
            "events of version 1 are in logs for ever: say how their fields become those of the version after it, by \
             `from_v1 = …`, a function of the fields that they had"
        );
        let item: DeriveInput = parse_quote!(
            #[event(retired(Stuffed, from_v2 = old))]
            enum BasketEvent {
                Filled { grams: u32 },
            }
        );
        assert!(refusal(item).starts_with("events of version 1 are in logs for ever"));
    }

    #[test]
    fn what_is_said_of_former_events_is_said_whole() {
        let item: DeriveInput = parse_quote!(
            enum BasketEvent {
                #[event(version = 2, from_v1 = one, from_v1 = other)]
                Filled,
            }
        );
        assert_eq!(refusal(item), "`from_v1` is said twice");
        let item: DeriveInput = parse_quote!(
            #[event(retired(Stuffed))]
            enum BasketEvent {
                Filled,
            }
        );
        assert_eq!(refusal(item), "say what becomes of it, for every version that it had: `from_v1 = convert`");
        let item: DeriveInput = parse_quote!(
            #[event(retired(from_v1 = old))]
            enum BasketEvent {
                Filled,
            }
        );
        assert_eq!(refusal(item), "which event is retired? `retired(OldName, from_v1 = convert)`");
    }

    #[test]
    fn a_name_in_the_log_means_one_thing() {
        let twice = "the log can't tell two events of the name `Filled` apart";
        let item: DeriveInput = parse_quote!(
            enum BasketEvent {
                Filled,
                #[event(was = "Filled")]
                Emptied,
            }
        );
        assert_eq!(refusal(item), twice);
        let item: DeriveInput = parse_quote!(
            #[event(retired(Filled, from_v1 = old))]
            enum BasketEvent {
                Filled,
            }
        );
        assert_eq!(refusal(item), twice);
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
            "`since` means nothing here; what does: `version = 2`, `from_v1 = convert`, `was = \"OldName\"`"
        );
    }

    #[test]
    fn an_older_version_goes_through_all_the_functions_that_follow() {
        let item: DeriveInput = parse_quote!(
            enum BasketEvent {
                #[event(version = 3, from_v2 = priced, from_v1 = euros, was = "Billed")]
                Priced { price: Decimal },
            }
        );
        let text = expand(&item).unwrap().to_string().replace(":: yado_sdk :: __private :: upcast :: ", "");
        for arm in [
            "(\"Priced\" | \"Billed\" , 1u32) => begin (name , payload , | old | step (old , euros , | old | last (old , priced)))",
            "(\"Priced\" | \"Billed\" , 2u32) => begin (name , payload , | old | last (old , priced))",
            "(\"Billed\" , 3u32) =>",
        ] {
            assert!(text.contains(arm), "{arm} is not in {text}");
        }
    }
}
