//! `#[query]`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::parse::Parser;
use syn::spanned::Spanned;
use syn::{FnArg, GenericArgument, Ident, ItemFn, Pat, PathArguments, ReturnType, Type, TypeReference};

use crate::attribute;
use crate::field::Field;

/// What a parameter gives the function.
enum Parameter {
    Argument(Box<Field>),
    Rows { model: Box<Type> },
    Context,
}

pub(crate) fn expand(attributes: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let mut roles = Vec::new();
    let words = syn::meta::parser(|meta| {
        if !meta.path.is_ident("roles") {
            return Err(attribute::unknown(&meta, &["roles(\"editor\")"]));
        }
        roles = attribute::texts(&meta)?;
        roles.iter().try_for_each(|role| attribute::api_name(role).map(|_| ()))
    });
    words.parse2(attributes)?;

    let mut function: ItemFn = syn::parse2(item)?;
    let ident = &function.sig.ident;
    if let Some(word) = &function.sig.asyncness {
        return Err(syn::Error::new(
            word.span(),
            "a query reads from the host and returns: it has nothing to wait for",
        ));
    }
    if !function.sig.generics.params.is_empty() {
        return Err(syn::Error::new(
            function.sig.generics.span(),
            "a query can't be generic: it is one query of the API",
        ));
    }
    let name = attribute::camel(ident);
    attribute::checked_name(&name, ident.span())?;
    let docs = attribute::docs(&function.attrs);
    let parameters = function.sig.inputs.iter().map(parameter).collect::<syn::Result<Vec<_>>>()?;
    // A parameter of a function takes neither doc comments nor rules: they are for the schema alone.
    for input in &mut function.sig.inputs {
        if let FnArg::Typed(input) = input {
            input.attrs.retain(|attribute| !["doc", "schema"].iter().any(|known| attribute.path().is_ident(known)));
        }
    }
    let ident = &function.sig.ident;
    let returned = returned(&function.sig.output, ident)?;

    let arguments: Vec<_> = parameters.iter().filter_map(Parameter::argument).collect();
    let idents: Vec<_> = arguments.iter().map(|argument| &argument.ident).collect();
    let types: Vec<_> = arguments.iter().map(|argument| &argument.ty).collect();
    let shapes = arguments.iter().map(|argument| argument.schema(&TokenStream::new()));
    let written = arguments.iter().map(|argument| argument.write_to());
    // The author may call an argument `fields`, or like the query itself: no argument is a variable where it is passed.
    let passed = parameters.iter().map(|parameter| match parameter {
        Parameter::Argument(argument) => argument.read(),
        Parameter::Rows { model } => quote!(&surroundings.rows::<#model>()),
        Parameter::Context => quote!(&surroundings.context),
    });
    let read = parameters.iter().filter_map(Parameter::model).map(|model| {
        attribute::own(
            model,
            "another plugin keeps these rows: only a declared query finds them, by `#[derive(Query)]`",
        )
    });
    let (vis, marker, private) = (&function.vis, format_ident!("{ident}"), quote!(::yado_sdk::__private));
    Ok(quote! {
        #function

        #(#read)*

        // Functions and types have separate names, so this can be called what `plugin!` calls the query.
        #[doc(hidden)]
        #[allow(non_camel_case_types)]
        #vis struct #marker {}

        impl #marker {
            /// The query with its arguments, for tests to ask.
            #[allow(dead_code, clippy::too_many_arguments)]
            #vis fn with(#(#idents: #types),*) -> ::yado_sdk::Asked<#returned> {
                #(let #idents = &#idents;)*
                ::yado_sdk::Asked::new(#name, #private::json::Writer::default()#(#written)*.finish())
            }
        }

        #[automatically_derived]
        impl #private::Query for #marker {
            const NAME: &'static str = #name;

            fn describe() -> #private::manifest::Query {
                #private::manifest::Query {
                    name: #name,
                    description: #docs,
                    arguments: #private::schema::Schema::object(::std::vec![#(#shapes),*]).closed(),
                    returns: <#returned as ::yado_sdk::Value>::schema(),
                    roles: &[#(#roles),*],
                    rows: ::core::option::Option::None,
                }
            }

            fn answer(
                arguments: &str,
                surroundings: &#private::Surroundings,
            ) -> ::core::result::Result<::core::result::Result<::std::string::String, ::yado_sdk::Rejection>, #private::json::Unreadable> {
                let fields = #private::json::Fields::read(#name, arguments)?;
                let answer: ::core::result::Result<#returned, ::yado_sdk::Rejection> = #ident(#(#passed),*);
                ::core::result::Result::Ok(answer.map(|answer| #private::json::write(&answer)))
            }
        }
    })
}

fn parameter(input: &FnArg) -> syn::Result<Parameter> {
    let FnArg::Typed(input) = input else {
        return Err(syn::Error::new(input.span(), "a query is a plain function, not a method"));
    };
    if matches!(input.ty.as_ref(), Type::Reference(_))
        && let Some(rule) = input.attrs.iter().find(|attribute| attribute.path().is_ident("schema"))
    {
        return Err(syn::Error::new(rule.span(), "rules are for arguments, and this is what the query reads from"));
    }
    if let Type::Reference(TypeReference { elem, .. }) = input.ty.as_ref()
        && let Type::Path(path) = elem.as_ref()
        && let Some(last) = path.path.segments.last()
    {
        if last.ident == "Context" {
            return Ok(Parameter::Context);
        }
        if last.ident == "Rows"
            && let PathArguments::AngleBracketed(arguments) = &last.arguments
            && let Some(GenericArgument::Type(model)) = arguments.args.first()
        {
            return Ok(Parameter::Rows { model: Box::new(model.clone()) });
        }
    }
    if let Type::Reference(reference) = input.ty.as_ref() {
        let message =
            "an argument is a value of its own, such as `String`; what a query borrows is `&Rows<…>` and `&Context`";
        return Err(syn::Error::new(reference.span(), message));
    }
    let Pat::Ident(pattern) = input.pat.as_ref() else {
        return Err(syn::Error::new(
            input.pat.span(),
            "an argument needs a name: it is the argument's name in the API",
        ));
    };
    Field::new(&pattern.ident, &input.ty, &input.attrs).map(|field| Parameter::Argument(Box::new(field)))
}

impl Parameter {
    fn argument(&self) -> Option<&Field> {
        match self {
            Self::Argument(field) => Some(field),
            _ => None,
        }
    }

    fn model(&self) -> Option<&Type> {
        match self {
            Self::Rows { model } => Some(model),
            _ => None,
        }
    }
}

/// The `T` of `Result<T, Rejection>`.
fn returned(output: &ReturnType, ident: &Ident) -> syn::Result<Type> {
    if let ReturnType::Type(_, ty) = output
        && let Type::Path(path) = ty.as_ref()
        && let Some(last) = path.path.segments.last()
        && last.ident == "Result"
        && let PathArguments::AngleBracketed(arguments) = &last.arguments
        && let Some(GenericArgument::Type(inner)) = arguments.args.first()
    {
        return Ok(inner.clone());
    }
    let span = if matches!(output, ReturnType::Default) { ident.span() } else { output.span() };
    Err(syn::Error::new(span, "a query returns `Result<…, Rejection>`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(item: TokenStream) -> String {
        expand(TokenStream::new(), item).unwrap_err().to_string()
    }

    #[test]
    fn what_can_not_be_asked_over_the_api_is_refused() {
        assert_eq!(
            refusal(quote!(
                fn cheap(rows: &Rows<BasketRow>) -> Vec<BasketRow> {
                    Vec::new()
                }
            )),
            "a query returns `Result<…, Rejection>`"
        );
        assert_eq!(
            refusal(quote!(
                fn named(name: &str) -> Result<bool, Rejection> {
                    Ok(true)
                }
            )),
            "an argument is a value of its own, such as `String`; what a query borrows is `&Rows<…>` and `&Context`"
        );
        assert_eq!(
            refusal(quote!(
                fn all(#[schema(length(1..=2))] rows: &Rows<BasketRow>) -> Result<bool, Rejection> {
                    Ok(true)
                }
            )),
            "rules are for arguments, and this is what the query reads from"
        );
        assert_eq!(
            refusal(quote!(
                fn of<T>(value: T) -> Result<bool, Rejection> {
                    Ok(true)
                }
            )),
            "a query can't be generic: it is one query of the API"
        );
        assert!(
            expand(
                quote!(role = "x"),
                quote!(
                    fn a() {}
                )
            )
            .unwrap_err()
            .to_string()
            .starts_with("`role` means nothing")
        );
    }
}
