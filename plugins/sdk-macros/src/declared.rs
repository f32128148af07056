//! `#[derive(Query)]`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::meta::ParseNestedMeta;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Expr, Ident, LitInt, LitStr, Path, Token, parenthesized};

use crate::attribute;
use crate::field::Field;

/// How many rows a list has at most if its author does not say.
const LIST: u32 = 1_000;
/// How many rows a page has if neither its author nor the caller says.
const PAGE: u32 = 20;

/// How a column may stand to an argument: the author's word, the manifest's, and the function that checks the types.
const WORDS: [(&str, &str, &str); 11] = [
    ("is", "eq", "same"),
    ("is_not", "ne", "same"),
    ("any_of", "in", "among"),
    ("above", "gt", "ranked"),
    ("below", "lt", "ranked"),
    ("at_least", "gte", "ranked"),
    ("at_most", "lte", "ranked"),
    ("contains", "contains", "text"),
    ("starts_with", "startsWith", "text"),
    ("ends_with", "endsWith", "text"),
    ("missing", "isNull", "missing"),
];

/// What `#[query(…)]` says.
struct Says {
    name: String,
    of: Path,
    answer: Answer,
    order: Vec<(Ident, bool)>,
    only: Vec<(Ident, Expr)>,
    roles: Vec<LitStr>,
}

enum Answer {
    One,
    List { max: u32 },
    Page { rows: Ident, total: Ident },
}

/// What `#[page(…)]` says, of all fields together.
#[derive(Default)]
struct Paged {
    number: Option<TokenStream>,
    size: Option<TokenStream>,
    default: Option<u32>,
}

pub(crate) fn expand(item: &DeriveInput) -> syn::Result<TokenStream> {
    attribute::no_generics(item)?;
    let Data::Struct(data) = &item.data else {
        return Err(syn::Error::new(item.ident.span(), "make it a struct, with a field for each argument"));
    };
    let ident = &item.ident;
    let fields = Field::all(&data.fields, &format!("`{ident}`"))?;
    let Says { name, of, answer, order, only, roles } = says(item)?;
    let private = quote!(::yado_sdk::__private);
    let declared = quote!(#private::declared);

    let mut conditions: Vec<TokenStream> = only
        .iter()
        .map(|(column, value)| {
            let column = column_of(&of, column);
            quote_spanned!(value.span()=> #declared::only(#column, #value))
        })
        .collect();
    let mut searched = None;
    let mut paged = Paged::default();
    for field in &fields {
        let before = (conditions.len(), paged.number.is_some(), paged.size.is_some());
        filters(field, ident, &of, &mut conditions)?;
        if let Some(mark) = attribute::mark(&field.attributes, "search")? {
            searched = Some(mark.path().span());
            let (ty, path) = (&field.ty, &field.name);
            let argument = argument(ident, field, None);
            conditions.push(quote_spanned!(ty.span()=> #declared::search(#argument, #path)));
        }
        pages(field, ident, &mut paged)?;
        if before == (conditions.len(), paged.number.is_some(), paged.size.is_some()) {
            let message =
                "this argument changes nothing: say what it is for by `#[filter(column)]`, `#[search]` or `#[page(…)]`";
            return Err(syn::Error::new(field.ident.span(), message));
        }
    }

    let docs = attribute::docs(&item.attrs);
    let shapes = fields.iter().map(|field| field.schema(&TokenStream::new()));
    let idents = fields.iter().map(|field| &field.ident);
    let written = fields.iter().map(Field::write_to);
    let orders = order.iter().map(|(column, descending)| {
        let shown = column_of(&of, column);
        quote_spanned!(column.span()=> #declared::order(#shown, #descending))
    });
    let Answered { manifest, returns, ty, write } = answered(&answer, paged, ident, &of)?;
    let search_check = searched.map(|span| {
        let message = "no column of the row is marked `#[search]`, and so a search looks nowhere";
        quote_spanned!(span=> const _: () = ::core::assert!(<#of as ::yado_sdk::ReadModel>::SEARCHED, #message);)
    });
    Ok(quote! {
        const _: () = {
            #search_check

            #[automatically_derived]
            impl ::yado_sdk::Query for #ident {
                type Row = #of;
                type Answer = #ty;
                const NAME: &'static str = #name;

                fn describe() -> #private::manifest::Query {
                    #private::manifest::Query {
                        name: #name,
                        description: #docs,
                        arguments: #private::schema::Schema::object(::std::vec![#(#shapes),*]).closed(),
                        returns: #returns,
                        roles: &[#(#roles),*],
                        rows: ::core::option::Option::Some(#private::manifest::RowsQuery {
                            model: <#of as ::yado_sdk::ReadModel>::NAME,
                            conditions: ::std::vec![#(#conditions),*],
                            order_by: ::std::vec![#(#orders),*],
                            answer: #manifest,
                        }),
                    }
                }

                fn arguments(&self) -> ::std::string::String {
                    let Self { #(#idents),* } = self;
                    #private::json::Writer::default()#(#written)*.finish()
                }

                fn write(answer: &#ty) -> ::std::string::String {
                    #write
                }
            }
        };
    })
}

/// What an answer comes to in the expansion.
struct Answered {
    manifest: TokenStream,
    returns: TokenStream,
    ty: TokenStream,
    write: TokenStream,
}

fn answered(answer: &Answer, paged: Paged, ident: &Ident, of: &Path) -> syn::Result<Answered> {
    let private = quote!(::yado_sdk::__private);
    let kinds = quote!(#private::manifest::Answer);
    let plain = |manifest, ty: TokenStream| Answered {
        manifest,
        returns: quote!(<#ty as ::yado_sdk::Value>::schema()),
        ty,
        write: quote!(#private::json::write(answer)),
    };
    let Answer::Page { rows, total } = answer else {
        if let Some(path) = paged.number.or(paged.size) {
            return Err(syn::Error::new(path.span(), "only what answers with a `page(…)` has pages"));
        }
        return Ok(match answer {
            Answer::One => plain(quote!(#kinds::One), quote!(::core::option::Option<#of>)),
            _ => {
                let max = if let Answer::List { max } = answer { *max } else { LIST };
                plain(quote!(#kinds::List { limit: #max }), quote!(::std::vec::Vec<#of>))
            }
        });
    };
    let (Some(number), Some(size)) = (paged.number, paged.size) else {
        let message = "which argument says which page, and which how many to a page? Mark them with `#[page(number)]` and \
                       `#[page(size)]`, or one that holds both with `#[page(number = page, size = limit)]`";
        return Err(syn::Error::new(ident.span(), message));
    };
    let default = paged.default.unwrap_or(PAGE);
    let (rows, total) = (api_name(rows)?, api_name(total)?);
    let title = format!("{}Page", attribute::unraw(ident));
    Ok(Answered {
        manifest: quote! {
            #kinds::Page { rows: #rows, total: #total, number: #number, size: #size, default_size: #default }
        },
        returns: quote!(#private::declared::page::<#of>(#title, #rows, #total)),
        ty: quote!(::yado_sdk::Page<#of>),
        write: quote!(answer.write(#rows, #total)),
    })
}

fn says(item: &DeriveInput) -> syn::Result<Says> {
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
                order = orders(&meta)?;
                return Ok(());
            }
            "only" => {
                only = constants(&meta)?;
                return Ok(());
            }
            "one" => Answer::One,
            "list" => Answer::List { max: most(&meta)? },
            "page" => page(&meta)?,
            _ => return Err(attribute::unknown(&meta, &SAID)),
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

const SAID: [&str; 8] = [
    "of = ProductRow",
    "one",
    "list",
    "page(products, total_count)",
    "order(price, descending(name))",
    "only(status = Status::Open)",
    "name = \"…\"",
    "roles(\"editor\")",
];

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
fn number(meta: &ParseNestedMeta<'_>) -> syn::Result<u32> {
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

/// `(price, descending(name))`.
fn orders(meta: &ParseNestedMeta<'_>) -> syn::Result<Vec<(Ident, bool)>> {
    let inside;
    parenthesized!(inside in meta.input);
    let mut orders = Vec::new();
    while !inside.is_empty() {
        let word: Ident = inside.parse()?;
        if word == "descending" && inside.peek(syn::token::Paren) {
            let column;
            parenthesized!(column in inside);
            orders.push((column.parse()?, true));
        } else {
            orders.push((word, false));
        }
        if !inside.is_empty() {
            inside.parse::<Token![,]>()?;
        }
    }
    Ok(orders)
}

/// `(status = Status::Open, sold = false)`.
fn constants(meta: &ParseNestedMeta<'_>) -> syn::Result<Vec<(Ident, Expr)>> {
    let inside;
    parenthesized!(inside in meta.input);
    let pair = |input: syn::parse::ParseStream<'_>| {
        let column = input.parse::<Ident>()?;
        input.parse::<Token![=]>()?;
        Ok((column, input.parse::<Expr>()?))
    };
    Ok(inside.parse_terminated(pair, Token![,])?.into_iter().collect())
}

/// The conditions that the `#[filter(…)]` of an argument come to.
fn filters(field: &Field, query: &Ident, of: &Path, conditions: &mut Vec<TokenStream>) -> syn::Result<()> {
    for attribute in field.attributes.iter().filter(|attribute| attribute.path().is_ident("filter")) {
        let mut columns: Option<Vec<Ident>> = None;
        let mut compared = Vec::new();
        if matches!(attribute.meta, syn::Meta::Path(_)) {
            return Err(syn::Error::new(attribute.span(), "which column? Say `#[filter(name)]`"));
        }
        attribute.parse_nested_meta(|meta| {
            let Some(word) = meta.path.get_ident().cloned() else {
                return Err(meta.error("a column has a plain name, as the row's field"));
            };
            if columns.is_none() {
                columns = Some(if word == "any" && meta.input.peek(syn::token::Paren) {
                    several(&meta)?
                } else {
                    vec![word]
                });
                return Ok(());
            }
            let Some(known) = WORDS.iter().find(|(known, ..)| word == known) else {
                return Err(attribute::unknown(&meta, &WORDS.map(|(known, ..)| known)));
            };
            let part = if meta.input.peek(Token![=]) { Some(meta.value()?.parse::<Ident>()?) } else { None };
            compared.push((word.span(), known, part));
            Ok(())
        })?;
        let Some(columns) = columns else {
            return Err(syn::Error::new(attribute.span(), "which column? Say `#[filter(name)]`"));
        };
        if compared.is_empty() {
            compared.push((attribute.span(), &WORDS[0], None));
        }
        for (span, (_, op, check), part) in compared {
            let argument = argument(query, field, part.as_ref());
            let path = path(field, part.as_ref());
            let check = Ident::new(check, span);
            let one = |column: &Ident| {
                let shown = column_of(of, column);
                let ty = part.as_ref().map_or_else(|| field.ty.span(), Ident::span);
                quote_spanned!(ty=> ::yado_sdk::__private::declared::#check(#op, #shown, #argument, #path))
            };
            let each: Vec<_> = columns.iter().map(one).collect();
            conditions.push(match each.as_slice() {
                [only] => only.clone(),
                several => quote!(::yado_sdk::__private::manifest::Condition::Any { any: ::std::vec![#(#several),*] }),
            });
        }
    }
    Ok(())
}

/// `(first_name, last_name)`.
fn several(meta: &ParseNestedMeta<'_>) -> syn::Result<Vec<Ident>> {
    let inside;
    let paren = parenthesized!(inside in meta.input);
    let columns: Vec<_> = Punctuated::<Ident, Token![,]>::parse_terminated(&inside)?.into_iter().collect();
    if columns.is_empty() {
        return Err(syn::Error::new(paren.span.join(), "any of which columns? Say `any(first_name, last_name)`"));
    }
    Ok(columns)
}

/// Adds what the `#[page(…)]` of an argument says.
fn pages(field: &Field, query: &Ident, paged: &mut Paged) -> syn::Result<()> {
    attribute::each(&field.attributes, "page", |meta| {
        let place = match meta.path.get_ident().map(ToString::to_string).as_deref() {
            Some("number") => &mut paged.number,
            Some("size") => &mut paged.size,
            Some("default") => {
                paged.default = Some(number(&meta)?);
                return Ok(());
            }
            _ => return Err(attribute::unknown(&meta, &["number = page", "size = limit", "default = 20"])),
        };
        let part = if meta.input.peek(Token![=]) { Some(meta.value()?.parse::<Ident>()?) } else { None };
        let (argument, path) = (argument(query, field, part.as_ref()), path(field, part.as_ref()));
        let span = part.as_ref().map_or_else(|| field.ty.span(), Ident::span);
        let found = quote_spanned!(span=> ::yado_sdk::__private::declared::whole(#argument, #path));
        match place.replace(found) {
            None => Ok(()),
            Some(_) => Err(meta.error("a page has one number and one size")),
        }
    })
}

/// A function from a query to an argument of it, or from an argument to a part of it: its type is what matters.
fn argument(query: &Ident, field: &Field, part: Option<&Ident>) -> TokenStream {
    match part {
        None => {
            let ident = &field.ident;
            quote_spanned!(field.ty.span()=> |query: &#query| &query.#ident)
        }
        Some(part) => {
            let within = attribute::inside_option(&field.ty).unwrap_or(&field.ty);
            quote_spanned!(part.span()=> |argument: &#within| &argument.#part)
        }
    }
}

/// The way to an argument, as the manifest has it.
fn path(field: &Field, part: Option<&Ident>) -> String {
    part.map_or_else(|| field.name.clone(), |part| format!("{}.{}", field.name, attribute::camel(part)))
}

fn column_of(of: &Path, column: &Ident) -> TokenStream {
    quote_spanned!(column.span()=> &<#of as ::yado_sdk::ReadModel>::COLUMNS.#column)
}

fn api_name(ident: &Ident) -> syn::Result<String> {
    let name = attribute::camel(ident);
    attribute::checked_name(&name, ident.span())?;
    Ok(name)
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    fn refusal(item: DeriveInput) -> String {
        expand(&item).unwrap_err().to_string()
    }

    #[test]
    fn a_query_says_whose_rows_it_finds_and_what_it_answers() {
        assert_eq!(
            refusal(parse_quote!(
                struct All {}
            )),
            "whose rows does it find? Say `#[query(of = ProductRow, …)]`"
        );
        assert_eq!(
            refusal(parse_quote!(
                #[query(of = BasketRow)]
                struct All {}
            )),
            "what does it answer? Say `one`, `list` or `page(products, total_count)` in `#[query(…)]`"
        );
        assert_eq!(
            refusal(parse_quote!(
                #[query(of = BasketRow, one, list)]
                struct All {}
            )),
            "a query has one answer: `one`, `list` or `page(…)`"
        );
        assert_eq!(
            refusal(parse_quote!(
                #[query(of = BasketRow, list(max = 0))]
                struct All {}
            )),
            "so many rows come at once: 1 to 10,000"
        );
        assert_eq!(
            refusal(parse_quote!(
                #[query(of = BasketRow, page(baskets))]
                struct All {}
            )),
            "a page has two parts, its rows and how many there are on all: `page(products, total_count)`"
        );
        assert!(
            refusal(parse_quote!(
                #[query(from = BasketRow)]
                struct All {}
            ))
            .starts_with("`from` means nothing here; what does: `of = ProductRow`, `one`")
        );
    }

    #[test]
    fn an_argument_says_what_it_is_for() {
        let one = |field: syn::Field| -> String {
            refusal(parse_quote!(
                #[query(of = BasketRow, list)]
                struct Some {
                    #field
                }
            ))
        };
        assert_eq!(
            one(parse_quote!(label: String)),
            "this argument changes nothing: say what it is for by `#[filter(column)]`, `#[search]` or `#[page(…)]`"
        );
        assert_eq!(one(parse_quote!(#[filter] label: String)), "which column? Say `#[filter(name)]`");
        assert!(
            one(parse_quote!(#[filter(label, like)] label: String))
                .starts_with("`like` means nothing here; what does: `is`, `is_not`, `any_of`")
        );
        assert_eq!(
            one(parse_quote!(#[filter(any(), contains)] label: String)),
            "any of which columns? Say `any(first_name, last_name)`"
        );
        assert_eq!(one(parse_quote!(#[page(number)] page: u32)), "only what answers with a `page(…)` has pages");
    }

    #[test]
    fn a_page_has_one_number_and_one_size() {
        let page = |fields: TokenStream| {
            refusal(parse_quote!(
                #[query(of = BasketRow, page(baskets, total))]
                struct Some {
                    #fields
                }
            ))
        };
        assert!(page(quote!(#[page(number)] page: u32)).starts_with("which argument says which page"));
        let twice = page(quote!(#[page(number)] page: u32, #[page(number = at)] other: At));
        assert_eq!(twice, "a page has one number and one size");
    }
}
