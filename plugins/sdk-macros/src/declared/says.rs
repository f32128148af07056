//! What `#[query(…)]` says.

use syn::meta::ParseNestedMeta;
use syn::parse::ParseStream;
use syn::punctuated::Punctuated;
use syn::{DeriveInput, Expr, Ident, LitInt, LitStr, Path, Token, parenthesized};

use crate::attribute;

/// How many rows a list has at most if its author does not say.
const LIST: u32 = 1_000;

/// What may be said.
const WORDS: [&str; 8] = [
    "of = ProductRow",
    "one",
    "list",
    "page(products, total_count)",
    "order(price, descending(name))",
    "only(status = Status::Open, not(kind = Kind::Draft))",
    "name = \"…\"",
    "roles(\"editor\")",
];

pub(super) struct Says {
    pub(super) name: String,
    pub(super) of: Path,
    pub(super) answer: Answer,
    pub(super) order: Vec<(Ident, bool)>,
    pub(super) only: Vec<Constant>,
    pub(super) roles: Vec<LitStr>,
}

pub(super) enum Answer {
    One,
    List { max: u32 },
    Page { rows: Ident, total: Ident },
}

/// A column that is something, or is not, whatever is asked.
pub(super) struct Constant {
    pub(super) column: Ident,
    pub(super) value: Expr,
    pub(super) not: bool,
}

pub(super) fn says(item: &DeriveInput) -> syn::Result<Says> {
    let (mut name, mut name_span) = (attribute::camel_of(&item.ident), item.ident.span());
    let (mut of, mut answer, mut order, mut only, mut roles) = (None, None, Vec::new(), Vec::new(), Vec::new());
    attribute::each(&item.attrs, "query", |meta| {
        let word = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
        let found = match word.as_str() {
            "name" => {
                let text = attribute::text(&meta)?;
                (name, name_span) = (text.value(), text.span());
                return Ok(());
            }
            "of" => {
                of = Some(meta.value()?.parse()?);
                return Ok(());
            }
            "roles" => {
                roles = attribute::texts(&meta)?;
                return roles.iter().try_for_each(|role| attribute::api_name(role).map(|_| ()));
            }
            "order" => {
                order = several(&meta, ordered)?;
                return Ok(());
            }
            "only" => {
                only = several(&meta, constant)?;
                return Ok(());
            }
            "one" => Answer::One,
            "list" => Answer::List { max: most(&meta)? },
            "page" => page(&meta)?,
            _ => return Err(attribute::unknown(&meta, &WORDS)),
        };
        match answer.replace(found) {
            None => Ok(()),
            Some(_) => Err(meta.error("a query has one answer: `one`, `list` or `page(…)`")),
        }
    })?;
    attribute::checked_name(&name, name_span)?;
    let missing = |message: &str| syn::Error::new(item.ident.span(), message);
    let of = of.ok_or_else(|| missing("whose rows does it find? Say `#[query(of = ProductRow, …)]`"))?;
    let answer = answer.ok_or_else(|| {
        missing("what does it answer? Say `one`, `list` or `page(products, total_count)` in `#[query(…)]`")
    })?;
    Ok(Says { name, of, answer, order, only, roles })
}

/// `(max = 100)`, or nothing.
fn most(meta: &ParseNestedMeta<'_>) -> syn::Result<u32> {
    let mut max = LIST;
    if meta.input.peek(syn::token::Paren) {
        meta.parse_nested_meta(|inner| {
            if !inner.path.is_ident("max") {
                return Err(attribute::unknown(&inner, &["max = 100"]));
            }
            max = number(&inner)?;
            Ok(())
        })?;
    }
    Ok(max)
}

/// `= 100`, within what the host gives at once.
pub(super) fn number(meta: &ParseNestedMeta<'_>) -> syn::Result<u32> {
    let literal: LitInt = meta.value()?.parse()?;
    let number = literal.base10_parse()?;
    if (1..=10_000).contains(&number) {
        Ok(number)
    } else {
        Err(syn::Error::new(literal.span(), "so many rows come at once: 1 to 10,000"))
    }
}

/// `(products, total_count)`.
fn page(meta: &ParseNestedMeta<'_>) -> syn::Result<Answer> {
    let inside;
    let paren = parenthesized!(inside in meta.input);
    let names = Punctuated::<Ident, Token![,]>::parse_terminated(&inside)?;
    let mut names = names.into_iter();
    match (names.next(), names.next(), names.next()) {
        (Some(rows), Some(total), None) if rows != total => Ok(Answer::Page { rows, total }),
        _ => {
            let message = "a page has two parts, its rows and how many there are on all: `page(products, total_count)`";
            Err(syn::Error::new(paren.span.join(), message))
        }
    }
}

/// `(…, …)`.
fn several<T>(meta: &ParseNestedMeta<'_>, one: fn(ParseStream<'_>) -> syn::Result<T>) -> syn::Result<Vec<T>> {
    let inside;
    parenthesized!(inside in meta.input);
    Ok(inside.parse_terminated(one, Token![,])?.into_iter().collect())
}

/// `price`, or `descending(price)`.
fn ordered(input: ParseStream<'_>) -> syn::Result<(Ident, bool)> {
    let word: Ident = input.parse()?;
    if word == "descending" && input.peek(syn::token::Paren) {
        let column;
        parenthesized!(column in input);
        return Ok((column.parse()?, true));
    }
    Ok((word, false))
}

/// `status = Status::Open`, or `not(status = Status::Open)`.
fn constant(input: ParseStream<'_>) -> syn::Result<Constant> {
    let column: Ident = input.parse()?;
    if column == "not" && input.peek(syn::token::Paren) {
        let inside;
        parenthesized!(inside in input);
        let constant = constant(&inside)?;
        return if inside.is_empty() {
            Ok(Constant { not: !constant.not, ..constant })
        } else {
            Err(inside.error("`not(…)` is around one column: `not(status = Status::Open)`"))
        };
    }
    input.parse::<Token![=]>()?;
    Ok(Constant { column, value: input.parse()?, not: false })
}

/// What an identifier is called in the API.
pub(super) fn api_name(ident: &Ident) -> syn::Result<String> {
    let name = attribute::camel(ident);
    attribute::checked_name(&name, ident.span())?;
    Ok(name)
}
