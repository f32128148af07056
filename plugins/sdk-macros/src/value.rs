//! `#[derive(Value)]`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DataEnum, DeriveInput, Fields, Ident};

use crate::field::Field;
use crate::{attribute, serial};

pub(crate) fn expand(item: &DeriveInput) -> syn::Result<TokenStream> {
    attribute::no_generics(item)?;
    let name = name(item)?;
    let docs = attribute::docs(&item.attrs);
    let (serde, schema) = match &item.data {
        Data::Struct(data) => match &data.fields {
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
                let ty = &fields.unnamed[0].ty;
                let inner = quote_spanned!(ty.span()=> <#ty as ::yado_sdk::Value>::schema);
                (serial::implement(item, None), quote!(#inner().description(#docs)))
            }
            fields => (serial::implement(item, Some(attribute::camel)), object(fields, &item.ident, &name, &docs)?),
        },
        Data::Enum(data) => {
            let names = variants(data)?;
            let serde = serial::implement_with(item, None, |variant| {
                names.iter().find(|(ident, _)| *ident == variant.ident).map(|(_, name)| name.clone())
            });
            let texts = names.iter().map(|(_, name)| name);
            (
                serde,
                quote!(::yado_sdk::__private::schema::Schema::one_of(&[#(#texts),*]).title(#name).description(#docs)),
            )
        }
        Data::Union(data) => return Err(syn::Error::new(data.union_token.span, "a value is a struct or an enum")),
    };
    let ident = &item.ident;
    Ok(quote! {
        const _: () = {
            #serde

            #[automatically_derived]
            impl ::yado_sdk::Value for #ident {
                fn schema() -> ::yado_sdk::__private::schema::Schema {
                    #schema
                }
            }
        };
    })
}

fn name(item: &DeriveInput) -> syn::Result<String> {
    let mut name = attribute::unraw(&item.ident);
    attribute::checked_name(&name, item.ident.span())?;
    attribute::each(&item.attrs, "value", |meta| {
        if !meta.path.is_ident("name") {
            return Err(attribute::unknown(&meta, &["name"]));
        }
        name = attribute::api_name(&attribute::text(&meta)?)?;
        Ok(())
    })?;
    Ok(name)
}

fn object(fields: &Fields, ident: &Ident, name: &str, docs: &str) -> syn::Result<TokenStream> {
    let fields = Field::all(fields, &format!("`{ident}`"))?;
    let fields = fields.iter().map(|field| field.schema(&TokenStream::new()));
    Ok(quote! {
        ::yado_sdk::__private::schema::Schema::object(::std::vec![#(#fields),*]).closed().title(#name).description(#docs)
    })
}

/// The variants and what they are called: as GraphQL writes enumerations, unless `#[value(name = "…")]` says otherwise.
fn variants(data: &DataEnum) -> syn::Result<Vec<(Ident, String)>> {
    let mut names = Vec::new();
    for variant in &data.variants {
        if !matches!(variant.fields, Fields::Unit) {
            let message = "the variants of a value have no fields: GraphQL and gRPC have no such type. Use a struct with \
                           optional fields, or a text and a number";
            return Err(syn::Error::new(variant.fields.span(), message));
        }
        let mut name = attribute::screaming(&variant.ident);
        let mut span = variant.ident.span();
        attribute::each(&variant.attrs, "value", |meta| {
            if !meta.path.is_ident("name") {
                return Err(attribute::unknown(&meta, &["name"]));
            }
            let text = attribute::text(&meta)?;
            name = text.value();
            span = text.span();
            Ok(())
        })?;
        attribute::checked_name(&name, span)?;
        if names.iter().any(|(_, known)| *known == name) {
            return Err(syn::Error::new(span, format!("`{name}` is already the name of another variant")));
        }
        names.push((variant.ident.clone(), name));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    #[test]
    fn what_no_api_can_say_is_refused() {
        let refusal = |item: DeriveInput| expand(&item).unwrap_err().to_string();
        let shape = refusal(parse_quote!(
            enum Shape {
                Circle { radius: f64 },
                Point,
            }
        ));
        assert!(shape.starts_with("the variants of a value have no fields"), "{shape}");
        assert_eq!(
            refusal(parse_quote!(
                enum Side {
                    Left,
                    #[value(name = "LEFT")]
                    Right,
                }
            )),
            "`LEFT` is already the name of another variant"
        );
        assert!(
            refusal(parse_quote!(
                struct Pair(u32, u32);
            ))
            .starts_with("give the fields of `Pair` names")
        );
    }

    #[test]
    fn variants_are_named_as_graphql_does_or_as_the_author_says() {
        let item: DeriveInput = parse_quote!(
            enum Status {
                InTransit,
                #[value(name = "done")]
                Done,
            }
        );
        let text = expand(&item).unwrap().to_string();
        assert!(text.contains("one_of (& [\"IN_TRANSIT\" , \"done\"])"), "{text}");
    }
}
