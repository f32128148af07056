//! Reading attributes, doc comments and names.

use proc_macro2::Span;
use syn::meta::ParseNestedMeta;
use syn::spanned::Spanned;
use syn::{Attribute, DeriveInput, Expr, ExprLit, Ident, Lit, LitStr, Meta, Token};

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

/// `InTransit` → `IN_TRANSIT`.
pub(crate) fn screaming(ident: &Ident) -> String {
    let text = unraw(ident);
    let mut name = String::with_capacity(text.len() + 4);
    for (at, c) in text.char_indices() {
        if c.is_uppercase() && at > 0 {
            name.push('_');
        }
        name.extend(c.to_uppercase());
    }
    name
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
        assert_eq!(screaming(&parse_quote!(InTransit)), "IN_TRANSIT");
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
