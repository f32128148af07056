//! `plugin!`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Ident, LitStr, Path, Token, bracketed};

use crate::attribute;

const WORDS: &str = "`name`, `version`, `description`, `aggregates`, `models`, `queries`";

#[derive(Default)]
struct Plugin {
    name: Option<LitStr>,
    version: Option<LitStr>,
    description: Option<LitStr>,
    aggregates: Vec<Path>,
    models: Vec<Path>,
    queries: Vec<Path>,
}

impl Parse for Plugin {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut plugin = Self::default();
        let mut seen: Vec<Ident> = Vec::new();
        while !input.is_empty() {
            let word: Ident = input.parse()?;
            input.parse::<Token![:]>()?;
            match word.to_string().as_str() {
                "name" => plugin.name = Some(input.parse()?),
                "version" => plugin.version = Some(input.parse()?),
                "description" => plugin.description = Some(input.parse()?),
                "aggregates" => plugin.aggregates = paths(input)?,
                "models" => plugin.models = paths(input)?,
                "queries" => plugin.queries = paths(input)?,
                other => {
                    return Err(syn::Error::new(word.span(), format!("a plugin has no `{other}`; it has {WORDS}")));
                }
            }
            if seen.contains(&word) {
                return Err(syn::Error::new(word.span(), format!("`{word}` is said twice")));
            }
            seen.push(word);
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(plugin)
    }
}

fn paths(input: ParseStream<'_>) -> syn::Result<Vec<Path>> {
    let inside;
    bracketed!(inside in input);
    Ok(inside.parse_terminated(|input| input.parse::<Path>(), Token![,])?.into_iter().collect())
}

pub(crate) fn expand(input: TokenStream) -> syn::Result<TokenStream> {
    let Plugin { name, version, description, aggregates, models, queries } = syn::parse2(input)?;
    let (declared, queries): (Vec<_>, Vec<_>) = queries.into_iter().partition(names_a_type);
    let name = checked_name(name)?;
    let version = version.map_or(quote!(::core::env!("CARGO_PKG_VERSION")), |text| quote!(#text));
    let description = description.map_or(quote!(::core::env!("CARGO_PKG_DESCRIPTION")), |text| quote!(#text));
    let described = each(&aggregates, |path| quote_spanned!(path.span()=> .aggregate::<#path>()))
        .chain(each(&models, |path| quote_spanned!(path.span()=> .model::<#path>())))
        .chain(each(&queries, |path| quote_spanned!(path.span()=> .query::<#path>())))
        .chain(each(&declared, |path| quote_spanned!(path.span()=> .declared::<#path>())));
    let own = each(&models, |path| {
        attribute::own(path, "another plugin keeps these rows: `models` are those that this one keeps")
    });
    let own: Vec<_> = own.collect();
    let aggregates = (!aggregates.is_empty()).then(|| decides(&aggregates));
    let projections = (!models.is_empty()).then(|| projects(&models));
    let queries = (!queries.is_empty()).then(|| answers(&queries));
    let manifest = export("manifest", "export_manifest");
    Ok(quote! {
        const _: () = {
            struct Plugin;

            #(#own)*

            impl ::yado_sdk::__private::bindings::manifest::exports::yado::domain::manifest::Guest for Plugin {
                fn describe() -> ::std::string::String {
                    ::yado_sdk::__private::manifest::Manifest::new(#name, #version, #description)
                        #(#described)*
                        .to_json()
                }
            }
            #manifest
            #aggregates
            #projections
            #queries
        };
    })
}

/// Whether it names a type, as declared queries are, and not a function. Only the functions are exported.
fn names_a_type(path: &Path) -> bool {
    path.segments.last().is_some_and(|last| attribute::unraw(&last.ident).starts_with(char::is_uppercase))
}

fn each<'a>(paths: &'a [Path], expand: impl Fn(&Path) -> TokenStream + 'a) -> impl Iterator<Item = TokenStream> + 'a {
    paths.iter().map(expand)
}

fn checked_name(name: Option<LitStr>) -> syn::Result<LitStr> {
    let Some(name) = name else {
        let example = "plugin! { name: \"catalog\", aggregates: [Product], models: [ProductRow] }";
        return Err(syn::Error::new(proc_macro2::Span::call_site(), format!("a plugin has a name: `{example}`")));
    };
    let text = name.value();
    let sound = text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && text.len() <= 64;
    if sound {
        Ok(name)
    } else {
        let rule = "1 to 64 lowercase letters, digits and `-`, beginning with a letter";
        Err(syn::Error::new(name.span(), format!("`{text}` can't be a plugin's name: it takes {rule}")))
    }
}

/// The component's own exports exist in the guest alone; natively the implementations are there to be checked.
fn export(module: &str, macro_name: &str) -> TokenStream {
    let (module, macro_name) = (quote::format_ident!("{module}"), quote::format_ident!("{macro_name}"));
    let bindings = quote!(::yado_sdk::__private::bindings::#module);
    quote! {
        #[cfg(target_family = "wasm")]
        #bindings::#macro_name!(Plugin with_types_in #bindings);
    }
}

fn decides(aggregates: &[Path]) -> TokenStream {
    let private = quote!(::yado_sdk::__private);
    let names: Vec<_> = each(aggregates, |path| quote!(<#path as ::yado_sdk::Entity>::NAME)).collect();
    let export = export("aggregates", "export_aggregates");
    quote! {
        impl #private::bindings::aggregates::exports::yado::domain::aggregates::Guest for Plugin {
            fn decide(
                aggregate: ::std::string::String,
                state: ::core::option::Option<::std::vec::Vec<u8>>,
                command: #private::bindings::types::Command,
            ) -> ::core::result::Result<
                #private::bindings::aggregates::exports::yado::domain::aggregates::Decision,
                #private::bindings::types::Rejection,
            > {
                match aggregate.as_str() {
                    #(#names => #private::guest::decide::<#aggregates>(state, command),)*
                    other => #private::guest::unknown("aggregate", other),
                }
            }

            fn evolve(
                aggregate: ::std::string::String,
                state: ::core::option::Option<::std::vec::Vec<u8>>,
                events: ::std::vec::Vec<#private::bindings::types::Event>,
            ) -> ::core::option::Option<::std::vec::Vec<u8>> {
                match aggregate.as_str() {
                    #(#names => #private::guest::evolve::<#aggregates>(state, events),)*
                    other => #private::guest::unknown("aggregate", other),
                }
            }

            fn upcast(
                aggregate: ::std::string::String,
                events: ::std::vec::Vec<#private::bindings::types::Event>,
            ) -> ::std::vec::Vec<::std::vec::Vec<#private::bindings::types::Event>> {
                match aggregate.as_str() {
                    #(#names => #private::guest::upcast::<#aggregates>(&events),)*
                    other => #private::guest::unknown("aggregate", other),
                }
            }
        }
        #export
    }
}

fn projects(models: &[Path]) -> TokenStream {
    let private = quote!(::yado_sdk::__private);
    let names = each(models, |path| quote!(<#path as ::yado_sdk::ReadModel>::NAME));
    let export = export("projections", "export_projections");
    quote! {
        impl #private::bindings::projections::exports::yado::domain::projections::Guest for Plugin {
            fn project(
                projection: ::std::string::String,
                events: ::std::vec::Vec<#private::bindings::types::RecordedEvent>,
            ) {
                match projection.as_str() {
                    #(#names => #private::guest::project::<#models>(events),)*
                    other => #private::guest::unknown("projection", other),
                }
            }
        }
        #export
    }
}

fn answers(queries: &[Path]) -> TokenStream {
    let private = quote!(::yado_sdk::__private);
    let names = each(queries, |path| quote!(<#path as ::yado_sdk::__private::Query>::NAME));
    let export = export("queries", "export_queries");
    quote! {
        impl #private::bindings::queries::exports::yado::domain::queries::Guest for Plugin {
            fn answer(
                query: ::std::string::String,
                arguments: ::std::string::String,
                context: #private::bindings::types::Context,
            ) -> ::core::result::Result<::std::string::String, #private::bindings::types::Rejection> {
                match query.as_str() {
                    #(#names => #private::guest::answer::<#queries>(&arguments, context),)*
                    other => #private::guest::unknown("query", other),
                }
            }
        }
        #export
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(input: TokenStream) -> String {
        expand(input).unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_plugin_is_refused() {
        assert_eq!(
            refusal(quote!(aggregates: [Basket])),
            "a plugin has a name: `plugin! { name: \"catalog\", aggregates: [Product], models: [ProductRow] }`"
        );
        assert_eq!(
            refusal(quote!(name: "My Shop")),
            "`My Shop` can't be a plugin's name: it takes 1 to 64 lowercase letters, digits and `-`, beginning with a letter"
        );
        assert_eq!(
            refusal(quote!(name: "shop", tables: [Basket])),
            "a plugin has no `tables`; it has `name`, `version`, `description`, `aggregates`, `models`, `queries`"
        );
        assert_eq!(refusal(quote!(name: "shop", name: "shop")), "`name` is said twice");
    }

    #[test]
    fn only_what_a_plugin_has_is_exported() {
        let text = |input| expand(input).unwrap().to_string();
        let decides = text(quote!(name: "shop", aggregates: [Basket]));
        assert!(decides.contains("export_aggregates") && !decides.contains("export_projections"));
        let shows = text(quote!(name: "shop", models: [BasketRow],));
        assert!(shows.contains("export_projections") && !shows.contains("export_aggregates"));
        assert!(!shows.contains("export_queries"));
        // The host answers a declared query, and the plugin is never asked.
        let declares = text(quote!(name: "shop", models: [BasketRow], queries: [find::FindBaskets]));
        assert!(!declares.contains("export_queries") && declares.contains("declared :: < find :: FindBaskets >"));
        let answers = text(quote!(name: "shop", models: [BasketRow], queries: [FindBaskets, find::cheap_baskets]));
        assert!(answers.contains("export_queries") && answers.contains("query :: < find :: cheap_baskets >"));
    }
}
