//! Reading attributes, doc comments and names.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::meta::ParseNestedMeta;
use syn::spanned::Spanned;
use syn::{
    Attribute, DeriveInput, Expr, ExprLit, GenericArgument, Ident, Lit, LitStr, Meta, PathArguments, Token, Type,
};

/// Calls `each` for everything inside `#[name(…)]`.
pub(crate) fn each(
    attributes: &[Attribute],
    name: &str,
    mut each: impl FnMut(ParseNestedMeta<'_>) -> syn::Result<()>,
) -> syn::Result<()> {
    attributes.iter().filter(|attribute| attribute.path().is_ident(name)).try_for_each(|attribute| {
        // A bare `#[model]` says nothing, and `parse_nested_meta` would only say that it expected parentheses.
        if matches!(attribute.meta, Meta::Path(_)) {
            return Err(syn::Error::new(attribute.span(), format!("say what is meant: `#[{name}(…)]`")));
        }
        attribute.parse_nested_meta(&mut each)
    })
}

/// The attribute of this name that has nothing to say but that it is there.
pub(crate) fn mark<'a>(attributes: &'a [Attribute], name: &str) -> syn::Result<Option<&'a Attribute>> {
    let Some(attribute) = attributes.iter().find(|attribute| attribute.path().is_ident(name)) else { return Ok(None) };
    attribute.meta.require_path_only()?;
    Ok(Some(attribute))
}

/// What to say to a word that means nothing here.
pub(crate) fn unknown(meta: &ParseNestedMeta<'_>, known: &[&str]) -> syn::Error {
    let word = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
    let known = known.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    meta.error(format!("`{word}` means nothing here; what does: {known}"))
}

/// `= "…"`.
pub(crate) fn text(meta: &ParseNestedMeta<'_>) -> syn::Result<LitStr> {
    meta.value()?.parse()
}

/// `("…", "…")`.
pub(crate) fn texts(meta: &ParseNestedMeta<'_>) -> syn::Result<Vec<LitStr>> {
    let inside;
    syn::parenthesized!(inside in meta.input);
    Ok(inside.parse_terminated(|input| input.parse::<LitStr>(), Token![,])?.into_iter().collect())
}

/// A text that is to be a name in the API.
pub(crate) fn api_name(text: &LitStr) -> syn::Result<String> {
    let name = text.value();
    checked_name(&name, text.span())?;
    Ok(name)
}

/// Names in the API are letters, digits and `_`; two `_` in a row belong to GraphQL.
pub(crate) fn checked_name(name: &str, span: Span) -> syn::Result<()> {
    let sound = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !name.contains("__")
        && name.len() <= 64;
    if sound {
        return Ok(());
    }
    let rule = "1 to 64 ASCII letters, digits and single `_`, beginning with a letter";
    Err(syn::Error::new(span, format!("`{name}` can't be a name in the API: it takes {rule}")))
}

/// The doc comment, without the blank that follows each `///`.
pub(crate) fn docs(attributes: &[Attribute]) -> String {
    let line = |attribute: &Attribute| match &attribute.meta {
        Meta::NameValue(meta) if meta.path.is_ident("doc") => match &meta.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value().trim().to_owned()),
            _ => None,
        },
        _ => None,
    };
    attributes.iter().filter_map(line).collect::<Vec<_>>().join("\n").trim().to_owned()
}

/// `category_id` → `categoryId`.
pub(crate) fn camel(ident: &Ident) -> String {
    let text = unraw(ident);
    let mut name = String::with_capacity(text.len());
    let mut raise = false;
    for c in text.chars() {
        match c {
            '_' => raise = true,
            c if raise => {
                name.extend(c.to_uppercase());
                raise = false;
            }
            c => name.push(c),
        }
    }
    name
}

/// `SearchProducts` → `searchProducts`: what a type is called where the API writes a field.
pub(crate) fn camel_of(ident: &Ident) -> String {
    let text = unraw(ident);
    let mut letters = text.chars();
    letters.next().map(char::to_lowercase).into_iter().flatten().chain(letters).collect()
}

/// `InTransit` → `IN_TRANSIT`. A run of capitals is one word: `EUR` stays, and `HTTPError` → `HTTP_ERROR`.
pub(crate) fn screaming(ident: &Ident) -> String {
    let text = unraw(ident);
    let mut name = String::with_capacity(text.len() + 4);
    let mut letters = text.chars().peekable();
    let mut before = None;
    while let Some(letter) = letters.next() {
        let begins_a_word = letter.is_uppercase()
            && before.is_some_and(|before: char| {
                let ends_a_run = before.is_uppercase() && letters.peek().is_some_and(|next| next.is_lowercase());
                before != '_' && (!before.is_uppercase() || ends_a_run)
            });
        if begins_a_word {
            name.push('_');
        }
        name.extend(letter.to_uppercase());
        before = Some(letter);
    }
    name
}

/// The `T` of a type that is written as `Option<T>`. What the type really is only the compiler knows; this serves to
/// refuse a mistake where it is made.
pub(crate) fn inside_option(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == "Option")?;
    match &last.arguments {
        PathArguments::AngleBracketed(arguments) => match arguments.args.first()? {
            GenericArgument::Type(inner) => Some(inner),
            _ => None,
        },
        _ => None,
    }
}

/// Whether the type is written as `Option<Option<T>>`.
pub(crate) fn looks_clearable(ty: &Type) -> bool {
    inside_option(ty).and_then(inside_option).is_some()
}

pub(crate) fn unraw(ident: &Ident) -> String {
    let text = ident.to_string();
    text.strip_prefix("r#").map_or(text.clone(), str::to_owned)
}

/// `ProductCommand` without `Command`.
pub(crate) fn without_suffix(ident: &Ident, suffix: &str) -> Option<Ident> {
    let text = unraw(ident);
    let stem = text.strip_suffix(suffix).filter(|stem| !stem.is_empty())?;
    Some(Ident::new(stem, ident.span()))
}

/// An item that refuses a read model that another plugin keeps.
pub(crate) fn own(model: &impl ToTokens, refusal: &str) -> TokenStream {
    quote_spanned!(model.span()=>
        const _: () = ::core::assert!(!<#model as ::yado_sdk::ReadModel>::FOREIGN, #refusal);
    )
}

/// The manifest names types, and a generic type has many names.
pub(crate) fn no_generics(item: &DeriveInput) -> syn::Result<()> {
    if item.generics.params.is_empty() {
        return Ok(());
    }
    Err(syn::Error::new(item.generics.span(), "this type can't be generic: it becomes one type of the API"))
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    #[test]
    fn names_change_their_case_as_the_api_writes_them() {
        assert_eq!(camel(&parse_quote!(category_id)), "categoryId");
        assert_eq!(camel(&parse_quote!(r#type)), "type");
        assert_eq!(camel(&parse_quote!(line_2)), "line2");
        for (variant, name) in [
            ("InTransit", "IN_TRANSIT"),
            ("EUR", "EUR"),
            ("HTTP_ERROR", "HTTP_ERROR"),
            ("HTTPError", "HTTP_ERROR"),
            ("Version2Beta", "VERSION2_BETA"),
            ("XRay", "X_RAY"),
        ] {
            assert_eq!(screaming(&Ident::new(variant, Span::call_site())), name);
        }
        assert_eq!(without_suffix(&parse_quote!(ProductRow), "Row").unwrap(), "Product");
        assert!(without_suffix(&parse_quote!(Row), "Row").is_none());
    }

    #[test]
    fn a_doc_comment_keeps_its_lines() {
        let item: DeriveInput = parse_quote! {
            /// First line.
            ///
            /// Second paragraph.
            struct S;
        };
        assert_eq!(docs(&item.attrs), "First line.\n\nSecond paragraph.");
    }
}
