//! `#[derive(Query)]`.

mod filter;
mod one;
mod page;
mod says;

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Ident, Path};

use crate::attribute;
use crate::field::Field;
use one::One;
use page::Paged;
use says::{Answer, Says};

pub(crate) fn expand(item: &DeriveInput) -> syn::Result<TokenStream> {
    attribute::no_generics(item)?;
    let Data::Struct(data) = &item.data else {
        return Err(syn::Error::new(item.ident.span(), "make it a struct, with a field for each argument"));
    };
    let ident = &item.ident;
    let fields = Field::all(&data.fields, &format!("`{ident}`"))?;
    let Says { name, of, answer, order, only, roles } = says::says(item)?;
    let query = Declared { ident, of: &of };
    let private = quote!(::yado_sdk::__private);
    let declared = quote!(#private::declared);

    let mut conditions: Vec<TokenStream> = only.iter().map(|constant| query.constant(constant)).collect();
    let mut searched = None;
    let mut paged = Paged::default();
    let mut one = One::new(&only);
    for field in &fields {
        let before = (conditions.len(), paged.parts());
        for filter in filter::filters(field)? {
            one.add(field, &filter);
            conditions.extend(filter.conditions(&query, field));
        }
        if let Some(mark) = attribute::mark(&field.attributes, "search")? {
            searched = Some(mark.path().span());
            one.falls_away();
            let (ty, path) = (&field.ty, &field.name);
            let argument = query.argument(field, None);
            conditions.push(quote_spanned!(ty.span()=> #declared::search(#argument, #path)));
        }
        paged.add(&query, field)?;
        if before == (conditions.len(), paged.parts()) {
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
        let shown = query.column(column);
        quote_spanned!(column.span()=> #declared::order(#shown, #descending))
    });
    let Answered { manifest, returns, ty, write } = answered(&answer, paged, &query)?;
    let one_check = matches!(answer, Answer::One).then(|| one.check(&query, !order.is_empty()));
    let search_check = searched.map(|span| {
        let message = "no column of the row is marked `#[search]`, and so a search looks nowhere";
        quote_spanned!(span=> const _: () = ::core::assert!(<#of as ::yado_sdk::ReadModel>::SEARCHED, #message);)
    });
    Ok(quote! {
        const _: () = {
            #search_check
            #one_check

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

/// The query, as far as its parts have to know it.
struct Declared<'a> {
    ident: &'a Ident,
    of: &'a Path,
}

impl Declared<'_> {
    /// A column of the row.
    fn column(&self, column: &Ident) -> TokenStream {
        let of = self.of;
        quote_spanned!(column.span()=> &<#of as ::yado_sdk::ReadModel>::COLUMNS.#column)
    }

    /// A function from the query to an argument of it, or from an argument to a part of it: its type is what matters.
    fn argument(&self, field: &Field, part: Option<&Ident>) -> TokenStream {
        match part {
            None => {
                let (query, ident) = (self.ident, &field.ident);
                quote_spanned!(field.ty.span()=> |query: &#query| &query.#ident)
            }
            Some(part) => {
                let within = attribute::inside_option(&field.ty).unwrap_or(&field.ty);
                quote_spanned!(part.span()=> |argument: &#within| &argument.#part)
            }
        }
    }

    /// The condition that `only(…)` comes to.
    fn constant(&self, constant: &says::Constant) -> TokenStream {
        let says::Constant { column, value, not } = constant;
        let column = self.column(column);
        let is = quote_spanned!(value.span()=> ::yado_sdk::__private::declared::only(#column, #value));
        if *not { negated(&is) } else { is }
    }
}

/// The way to an argument, as the manifest has it.
fn path(field: &Field, part: Option<&Ident>) -> String {
    part.map_or_else(|| field.name.clone(), |part| format!("{}.{}", field.name, attribute::camel(part)))
}

fn negated(condition: &TokenStream) -> TokenStream {
    quote!(::yado_sdk::__private::declared::not(#condition))
}

/// What an answer comes to in the expansion.
struct Answered {
    manifest: TokenStream,
    returns: TokenStream,
    ty: TokenStream,
    write: TokenStream,
}

fn answered(answer: &Answer, paged: Paged, query: &Declared<'_>) -> syn::Result<Answered> {
    let (private, of) = (quote!(::yado_sdk::__private), query.of);
    let kinds = quote!(#private::manifest::Answer);
    let plain = |manifest, ty: TokenStream| Answered {
        manifest,
        returns: quote!(<#ty as ::yado_sdk::Value>::schema()),
        ty,
        write: quote!(#private::json::write(answer)),
    };
    match answer {
        Answer::One => {
            paged.none()?;
            Ok(plain(quote!(#kinds::One), quote!(::core::option::Option<#of>)))
        }
        Answer::List { max } => {
            paged.none()?;
            Ok(plain(quote!(#kinds::List { limit: #max }), quote!(::std::vec::Vec<#of>)))
        }
        Answer::Page { rows, total } => {
            let page::Parts { number, size, default } = paged.all(query.ident)?;
            let (rows, total) = (says::api_name(rows)?, says::api_name(total)?);
            let title = format!("{}Page", attribute::unraw(query.ident));
            Ok(Answered {
                manifest: quote! {
                    #kinds::Page { rows: #rows, total: #total, number: #number, size: #size, default_size: #default }
                },
                returns: quote!(#private::declared::page::<#of>(#title, #rows, #total)),
                ty: quote!(::yado_sdk::Page<#of>),
                write: quote!(answer.write(#rows, #total)),
            })
        }
    }
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
        assert_eq!(one(parse_quote!(#[filter()] label: String)), "which column? Say `#[filter(name)]`");
        assert_eq!(one(parse_quote!(#[filter(not())] label: String)), "which column? Say `#[filter(name)]`");
        assert_eq!(
            one(parse_quote!(#[filter(not(label), is)] label: String)),
            "`not(…)` is around all that the filter says: `#[filter(not(name, contains))]`"
        );
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
