//! `#[derive(State)]`, `#[derive(Part)]` and `#[derive(Foreign)]`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Ident, LitStr, Token};

use crate::{attribute, serial};

struct Described {
    name: String,
    id: String,
    encoding: Option<String>,
    constraints: Vec<(Ident, String)>,
}

pub(crate) fn expand(item: &DeriveInput) -> syn::Result<TokenStream> {
    attribute::no_generics(item)?;
    if let Data::Union(data) = &item.data {
        return Err(syn::Error::new(data.union_token.span, "a state is a struct or an enum"));
    }
    let Described { name, id, encoding, constraints } = described(item)?;
    let ident = &item.ident;
    let docs = attribute::docs(&item.attrs);
    let serde = serial::part(item);
    let encoding = match encoding {
        Some(text) => quote!(::core::option::Option::Some(#text)),
        None => quote!(::core::option::Option::None),
    };
    let vis = &item.vis;
    let named = constraints.iter().map(|(name, description)| {
        let constant = format_ident!("{}", name.to_string().to_uppercase(), span = name.span());
        let name = name.to_string();
        quote! {
            #[doc = #description]
            #[allow(dead_code)]
            #vis const #constant: ::yado_sdk::Constraint = ::yado_sdk::Constraint::declared(#name);
        }
    });
    let named = (!constraints.is_empty()).then(|| quote!(#[automatically_derived] impl #ident { #(#named)* }));
    let constraints = constraints.iter().map(|(name, description)| {
        let name = name.to_string();
        quote!(::yado_sdk::__private::manifest::Constraint { name: #name, description: #description })
    });
    Ok(quote! {
        const _: () = {
            #serde

            #[automatically_derived]
            impl ::yado_sdk::Part for #ident {}

            #[automatically_derived]
            impl ::yado_sdk::Entity for #ident {
                const NAME: &'static str = #name;
            }

            #named

            #[automatically_derived]
            impl ::yado_sdk::State for #ident {
                fn describe() -> ::yado_sdk::__private::manifest::Aggregate {
                    ::yado_sdk::__private::manifest::Aggregate::new(#name, #docs, #id, #encoding, &[#(#constraints),*])
                }
            }
        };
    })
}

pub(crate) fn expand_part(item: &DeriveInput) -> syn::Result<TokenStream> {
    if !item.generics.params.is_empty() {
        let message = "a part of a state can't be generic: write out the type that the state holds";
        return Err(syn::Error::new(item.generics.span(), message));
    }
    if let Data::Union(data) = &item.data {
        return Err(syn::Error::new(data.union_token.span, "a part of a state is a struct or an enum"));
    }
    let ident = &item.ident;
    let serde = serial::part(item);
    Ok(quote! {
        const _: () = {
            #serde

            #[automatically_derived]
            impl ::yado_sdk::Part for #ident {}
        };
    })
}

pub(crate) fn expand_foreign(item: &DeriveInput) -> syn::Result<TokenStream> {
    attribute::no_generics(item)?;
    let mut name = attribute::unraw(&item.ident);
    attribute::checked_name(&name, item.ident.span())?;
    attribute::each(&item.attrs, "foreign", |meta| {
        if !meta.path.is_ident("name") {
            return Err(attribute::unknown(&meta, &["name"]));
        }
        name = attribute::api_name(&attribute::text(&meta)?)?;
        Ok(())
    })?;
    let ident = &item.ident;
    Ok(quote! {
        #[automatically_derived]
        impl ::yado_sdk::Entity for #ident {
            const NAME: &'static str = #name;
        }
    })
}

fn described(item: &DeriveInput) -> syn::Result<Described> {
    let name = attribute::unraw(&item.ident);
    attribute::checked_name(&name, item.ident.span())?;
    let mut described = Described { name, id: "uuid".into(), encoding: None, constraints: Vec::new() };
    attribute::each(&item.attrs, "state", |meta| {
        if meta.path.is_ident("name") {
            described.name = attribute::api_name(&attribute::text(&meta)?)?;
        } else if meta.path.is_ident("id") {
            let kind = attribute::text(&meta)?;
            described.id = kind.value();
            if !matches!(described.id.as_str(), "uuid" | "ulid") {
                return Err(syn::Error::new(kind.span(), "an id is `uuid` or `ulid`"));
            }
        } else if meta.path.is_ident("encoding") {
            described.encoding = Some(attribute::text(&meta)?.value());
        } else if meta.path.is_ident("unique") {
            meta.parse_nested_meta(|constraint| {
                let name = constraint.path.require_ident()?.clone();
                attribute::checked_name(&name.to_string(), name.span())?;
                let text = match constraint.input.peek(Token![=]) {
                    true => constraint.value()?.parse::<LitStr>()?.value(),
                    false => return Err(constraint.error("say what a caller is told: `email = \"…\"`")),
                };
                if described.constraints.iter().any(|(known, _)| *known == name) {
                    return Err(syn::Error::new(name.span(), format!("`{name}` is said twice")));
                }
                described.constraints.push((name, text));
                Ok(())
            })?;
        } else {
            return Err(attribute::unknown(&meta, &["name", "id", "encoding", "unique(…)"]));
        }
        Ok(())
    })?;
    Ok(described)
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    fn refusal(item: DeriveInput) -> String {
        expand(&item).unwrap_err().to_string()
    }

    #[test]
    fn what_a_state_can_not_be_is_refused() {
        assert_eq!(
            refusal(parse_quote!(
                struct Basket<T> {
                    things: Vec<T>,
                }
            )),
            "this type can't be generic: it becomes one type of the API"
        );
        assert_eq!(
            refusal(parse_quote!(
                #[state(id = "number")]
                struct Basket;
            )),
            "an id is `uuid` or `ulid`"
        );
        assert_eq!(
            refusal(parse_quote!(
                #[state(unique(email))]
                struct Basket;
            )),
            "say what a caller is told: `email = \"…\"`"
        );
        assert_eq!(
            refusal(parse_quote!(
                #[state(unique(email = "Taken.", email = "Gone."))]
                struct Basket;
            )),
            "`email` is said twice"
        );
        assert_eq!(
            refusal(parse_quote!(
                #[state(key = "id")]
                struct Basket;
            )),
            "`key` means nothing here; what does: `name`, `id`, `encoding`, `unique(…)`"
        );
    }

    #[test]
    fn what_a_part_of_a_state_can_not_be_is_refused() {
        let refusal = |item: DeriveInput| expand_part(&item).unwrap_err().to_string();
        let generic = refusal(parse_quote!(
            struct Pile<T>(Vec<T>);
        ));
        assert_eq!(generic, "a part of a state can't be generic: write out the type that the state holds");
        let union = refusal(parse_quote!(
            union Either {
                one: u8,
                other: i8,
            }
        ));
        assert_eq!(union, "a part of a state is a struct or an enum");
    }

    #[test]
    fn constraints_and_names_reach_the_manifest() {
        let item: DeriveInput = parse_quote! {
            #[state(name = "Cart", id = "ulid", unique(owner = "Somebody else holds it."))]
            struct Basket { owner: String }
        };
        let text = expand(&item).unwrap().to_string();
        for part in [
            "\"Cart\"",
            "\"ulid\"",
            "\"owner\"",
            "\"Somebody else holds it.\"",
            "const OWNER : :: yado_sdk :: Constraint",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }
}
