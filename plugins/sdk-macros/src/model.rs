//! `#[derive(ReadModel)]`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::meta::ParseNestedMeta;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Ident, Path, Token};

use crate::field::Field;
use crate::{attribute, serial};

const SUFFIX: &str = "Row";

struct Says {
    name: String,
    /// Whether another plugin keeps it.
    foreign: bool,
    plural: Option<String>,
    indexes: Vec<Vec<String>>,
    unique: Vec<Vec<String>>,
}

/// What one `#[relation(…)]` says.
struct Relation {
    name: String,
    model: Path,
    /// Of a relation to many, the field of the other model.
    field: Option<Ident>,
}

pub(crate) fn expand(item: &DeriveInput) -> syn::Result<TokenStream> {
    attribute::no_generics(item)?;
    let Data::Struct(data) = &item.data else {
        return Err(syn::Error::new(item.ident.span(), "make it a struct, with a field for each column"));
    };
    let ident = &item.ident;
    let fields = Field::all(&data.fields, &format!("`{ident}`"))?;
    if let Some(field) = fields.iter().find(|field| attribute::looks_clearable(&field.ty)) {
        let message = "a column holds a value or none: an `Option` will do. What is to be left as it is, is left out of \
                       `rows.patch(…)`";
        return Err(syn::Error::new(field.ty.span(), message));
    }
    let key = key(&fields, ident)?;
    let Says { name, foreign, plural, mut indexes, mut unique } = says(item, &fields)?;
    indexes.splice(0..0, marked(&fields, "index")?.into_iter().map(|name| vec![name]));
    unique.splice(0..0, marked(&fields, "unique")?.into_iter().map(|name| vec![name]));
    if let Some(field) =
        fields.iter().find(|field| field.looks_optional() && unique.iter().flatten().any(|name| *name == field.name))
    {
        let message = "what may be missing can't be unique: what is missing is not the same as anything";
        return Err(syn::Error::new(field.ty.span(), message));
    }
    let search = marked(&fields, "search")?;
    let searched = !search.is_empty();
    let relations = relations(item, &fields)?;
    if foreign && (plural.is_some() || !indexes.is_empty() || !unique.is_empty() || !relations.is_empty()) {
        let message =
            "another plugin keeps these rows, and says how they are found, what is unique and where they lead";
        return Err(syn::Error::new(ident.span(), message));
    }

    let docs = attribute::docs(&item.attrs);
    let plural =
        plural.map_or(quote!(::core::option::Option::None), |name| quote!(::core::option::Option::Some(#name)));
    let serde = serial::object(item);
    let shapes = fields.iter().map(|field| {
        let own = (field.ident == key.ident).then(|| quote!(let schema = schema.own_id();));
        field.schema(&own.unwrap_or_default())
    });
    let (key_name, key_type) = (&key.name, &key.ty);
    let columns = fields.iter().map(|field| {
        let Field { ident: column, ty, docs, .. } = field;
        quote!(#[doc = #docs] pub #column: ::yado_sdk::__private::Column<#ident, #ty>)
    });
    let new_columns = fields.iter().map(|field| {
        let (ident, name) = (&field.ident, &field.name);
        quote!(#ident: ::yado_sdk::__private::Column::new(#name))
    });
    let manifest = quote!(::yado_sdk::__private::manifest);
    Ok(quote! {
        const _: () = {
            #serde

            #[doc(hidden)]
            pub struct Columns { #(#columns),* }

            #[automatically_derived]
            impl ::yado_sdk::ReadModel for #ident {
                const NAME: &'static str = #name;
                type Key = #key_type;
                type Columns = Columns;
                const COLUMNS: &'static Columns = &Columns { #(#new_columns),* };
                const KEY: &'static str = #key_name;
                const UNIQUE: &'static [&'static [&'static str]] = &[#(&[#(#unique),*]),*];
                const SEARCHED: bool = #searched;
                const FOREIGN: bool = #foreign;

                fn describe() -> #manifest::ReadModel {
                    #manifest::ReadModel {
                        name: #name,
                        plural: #plural,
                        description: #docs,
                        row: ::yado_sdk::__private::schema::Schema::object(::std::vec![#(#shapes),*]),
                        key: Self::KEY,
                        indexes: &[#(&[#(#indexes),*]),*],
                        unique: Self::UNIQUE,
                        search: &[#(#search),*],
                        relations: ::std::vec![#(#relations),*],
                    }
                }
            }

            #[automatically_derived]
            impl ::yado_sdk::Part for #ident {}

            #[automatically_derived]
            impl ::yado_sdk::Value for #ident {
                fn schema() -> ::yado_sdk::__private::schema::Schema {
                    <Self as ::yado_sdk::ReadModel>::describe().row.model(#name)
                }
            }
        };
    })
}

fn key<'a>(fields: &'a [Field], ident: &Ident) -> syn::Result<&'a Field> {
    let mut key = None;
    for field in fields {
        if let Some(mark) = attribute::mark(&field.attributes, "key")?
            && key.replace(field).is_some()
        {
            return Err(syn::Error::new(mark.span(), "one field names a row: only one can be its `#[key]`"));
        }
    }
    let Some(key) = key else {
        let message = format!("which field names a row of `{ident}`? Mark it with `#[key]`");
        return Err(syn::Error::new(ident.span(), message));
    };
    if key.looks_optional() {
        return Err(syn::Error::new(key.ty.span(), "every row has a key: it can't be an `Option`"));
    }
    Ok(key)
}

fn marked(fields: &[Field], name: &str) -> syn::Result<Vec<String>> {
    let mut marked = Vec::new();
    for field in fields {
        if attribute::mark(&field.attributes, name)?.is_some() {
            marked.push(field.name.clone());
        }
    }
    Ok(marked)
}

fn says(item: &DeriveInput, fields: &[Field]) -> syn::Result<Says> {
    let named = attribute::without_suffix(&item.ident, SUFFIX).unwrap_or_else(|| item.ident.clone());
    let name = attribute::unraw(&named);
    let mut says = Says { name, foreign: false, plural: None, indexes: Vec::new(), unique: Vec::new() };
    attribute::checked_name(&says.name, item.ident.span())?;
    attribute::each(&item.attrs, "model", |meta| {
        if meta.path.is_ident("name") {
            says.name = attribute::api_name(&attribute::text(&meta)?)?;
        } else if meta.path.is_ident("foreign") {
            says.foreign = true;
        } else if meta.path.is_ident("plural") {
            says.plural = Some(attribute::api_name(&attribute::text(&meta)?)?);
        } else if meta.path.is_ident("index") || meta.path.is_ident("unique") {
            let inside;
            syn::parenthesized!(inside in meta.input);
            let idents = inside.parse_terminated(|input| input.parse::<Ident>(), Token![,])?;
            let names = idents.iter().map(|ident| {
                let field = fields.iter().find(|field| field.ident == *ident);
                field
                    .map(|field| field.name.clone())
                    .ok_or_else(|| syn::Error::new(ident.span(), format!("`{}` has no field `{ident}`", item.ident)))
            });
            let names = names.collect::<syn::Result<_>>()?;
            if meta.path.is_ident("index") { says.indexes.push(names) } else { says.unique.push(names) }
        } else {
            return Err(attribute::unknown(
                &meta,
                &[
                    "name = \"…\"",
                    "foreign",
                    "plural = \"…\"",
                    "index(one_field, another_field)",
                    "unique(one_field, another_field)",
                ],
            ));
        }
        Ok(())
    })?;
    Ok(says)
}

/// Expressions for the relations of the fields, then for those of the struct.
fn relations(item: &DeriveInput, fields: &[Field]) -> syn::Result<Vec<TokenStream>> {
    let mut expressions = Vec::new();
    for field in fields {
        for attribute in field.attributes.iter().filter(|attribute| attribute.path().is_ident("relation")) {
            let Relation { name, model, .. } = relation(attribute, false)?;
            let (ty, column) = (&field.ty, &field.name);
            let check = quote_spanned!(ty.span()=> ::yado_sdk::__private::leads_to::<#model, #ty>());
            expressions.push(quote! {{
                #check;
                ::yado_sdk::__private::manifest::Relation {
                    name: #name,
                    description: "",
                    model: <#model as ::yado_sdk::ReadModel>::NAME,
                    field: #column,
                    many: false,
                }
            }});
        }
    }
    for attribute in item.attrs.iter().filter(|attribute| attribute.path().is_ident("relation")) {
        let Relation { name, model, field } = relation(attribute, true)?;
        expressions.push(quote! {
            ::yado_sdk::__private::manifest::Relation {
                name: #name,
                description: "",
                model: <#model as ::yado_sdk::ReadModel>::NAME,
                field: <#model as ::yado_sdk::ReadModel>::COLUMNS.#field.name(),
                many: true,
            }
        });
    }
    Ok(expressions)
}

fn relation(attribute: &syn::Attribute, many: bool) -> syn::Result<Relation> {
    let (to, example) = if many {
        ("many", "#[relation(many = ProductRow, field = category_id, as = \"products\")]")
    } else {
        ("to", "#[relation(to = CategoryRow, as = \"category\")]")
    };
    let (mut model, mut field, mut name) = (None, None, None);
    attribute.parse_nested_meta(|meta: ParseNestedMeta<'_>| {
        if meta.path.is_ident(to) {
            model = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("as") {
            name = Some(attribute::api_name(&attribute::text(&meta)?)?);
        } else if many && meta.path.is_ident("field") {
            field = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("many") {
            return Err(meta.error("a relation to many stands on the struct, and names a field of the other model"));
        } else if meta.path.is_ident("to") {
            return Err(meta.error("a relation to one stands on the field that holds the other's key"));
        } else {
            return Err(meta.error(format!("a relation is said by `{example}`")));
        }
        Ok(())
    })?;
    match (model, name, field, many) {
        (Some(model), Some(name), field @ Some(_), true) | (Some(model), Some(name), field @ None, false) => {
            Ok(Relation { name, model, field })
        }
        _ => Err(syn::Error::new(attribute.span(), format!("a relation is said by `{example}`"))),
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
    fn a_row_needs_exactly_one_key() {
        assert_eq!(
            refusal(parse_quote!(
                struct BasketRow {
                    id: Id<Basket>,
                }
            )),
            "which field names a row of `BasketRow`? Mark it with `#[key]`"
        );
        assert_eq!(
            refusal(parse_quote!(
                struct BasketRow {
                    #[key]
                    id: Id<Basket>,
                    #[key]
                    code: String,
                }
            )),
            "one field names a row: only one can be its `#[key]`"
        );
        assert_eq!(
            refusal(parse_quote!(
                struct BasketRow {
                    #[key]
                    id: Option<Id<Basket>>,
                }
            )),
            "every row has a key: it can't be an `Option`"
        );
    }

    #[test]
    fn what_is_unique_is_always_there() {
        let refused = "what may be missing can't be unique: what is missing is not the same as anything";
        for item in [
            parse_quote!(
                struct BasketRow {
                    #[key]
                    id: Id<Basket>,
                    #[unique]
                    code: Option<String>,
                }
            ),
            parse_quote!(
                #[model(unique(id, code))]
                struct BasketRow {
                    #[key]
                    id: Id<Basket>,
                    code: Option<String>,
                }
            ),
        ] {
            assert_eq!(refusal(item), refused);
        }
    }

    #[test]
    fn a_column_that_may_be_left_out_twice_is_refused() {
        let refusal = refusal(parse_quote!(
            struct BasketRow {
                #[key]
                id: Id<Basket>,
                note: Option<Option<String>>,
            }
        ));
        assert!(refusal.starts_with("a column holds a value or none"), "{refusal}");
    }

    #[test]
    fn a_foreign_row_says_only_which_columns_it_has() {
        let refused =
            "another plugin keeps these rows, and says how they are found, what is unique and where they lead";
        for item in [
            parse_quote!(
                #[model(foreign, index(code))]
                struct BasketRow {
                    #[key]
                    id: Id<Basket>,
                    code: String,
                }
            ),
            parse_quote!(
                #[model(foreign)]
                struct BasketRow {
                    #[key]
                    id: Id<Basket>,
                    #[unique]
                    code: String,
                }
            ),
        ] {
            assert_eq!(refusal(item), refused);
        }
    }

    #[test]
    fn a_relation_is_said_in_full_and_where_it_belongs() {
        let one = "a relation is said by `#[relation(to = CategoryRow, as = \"category\")]`";
        assert_eq!(
            refusal(parse_quote!(
                struct BasketRow {
                    #[key]
                    #[relation(to = OwnerRow)]
                    id: Id<Basket>,
                }
            )),
            one
        );
        assert_eq!(
            refusal(parse_quote!(
                struct BasketRow {
                    #[key]
                    #[relation(many = OwnerRow, as = "owners")]
                    id: Id<Basket>,
                }
            )),
            "a relation to many stands on the struct, and names a field of the other model"
        );
        assert_eq!(
            refusal(parse_quote!(
                #[relation(to = OwnerRow, as = "owner")]
                struct BasketRow {
                    #[key]
                    id: Id<Basket>,
                }
            )),
            "a relation to one stands on the field that holds the other's key"
        );
    }

    #[test]
    fn what_is_said_of_the_model_is_checked() {
        assert_eq!(
            refusal(parse_quote!(
                #[model(index(weight))]
                struct BasketRow {
                    #[key]
                    id: Id<Basket>,
                }
            )),
            "`BasketRow` has no field `weight`"
        );
        assert_eq!(
            refusal(parse_quote!(
                #[model(table = "b")]
                struct BasketRow {
                    #[key]
                    id: Id<Basket>,
                }
            )),
            "`table` means nothing here; what does: `name = \"…\"`, `foreign`, `plural = \"…\"`, `index(one_field, another_field)`, \
             `unique(one_field, another_field)`"
        );
        assert_eq!(
            refusal(parse_quote!(
                enum BasketRow {
                    A,
                }
            )),
            "make it a struct, with a field for each column"
        );
    }

    #[test]
    fn a_row_is_named_without_its_suffix() {
        let item: DeriveInput = parse_quote!(
            struct BasketRow {
                #[key]
                id: Id<Basket>,
            }
        );
        assert!(expand(&item).unwrap().to_string().contains("NAME : & 'static str = \"Basket\""));
    }
}
