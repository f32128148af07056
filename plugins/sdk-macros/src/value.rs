//! `#[derive(Value)]`.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DataEnum, DeriveInput, Fields, Ident, Type};

use crate::field::Field;
use crate::{attribute, field, serial};

pub(crate) fn expand(item: &DeriveInput) -> syn::Result<TokenStream> {
    attribute::no_generics(item)?;
    let name = name(item)?;
    let docs = attribute::docs(&item.attrs);
    let ident = &item.ident;
    let mut marks = TokenStream::new();
    let (serde, schema) = match &item.data {
        Data::Struct(data) => match &data.fields {
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
                let field = &fields.unnamed[0];
                marks = forwarded(ident, &field.ty);
                (serial::wrapper(item), wrapped(field, &docs)?)
            }
            fields => (serial::object(item), object(fields, &item.ident, &name, &docs)?),
        },
        Data::Enum(data) => {
            let names = variants(data)?;
            let serde = serial::texts(item, |variant| {
                names.iter().find(|(ident, _)| *ident == variant.ident).map(|(_, name)| name.clone())
            });
            let texts = names.iter().map(|(_, name)| name);
            let described = names.iter().zip(&data.variants).filter_map(|((_, name), variant)| {
                let docs = attribute::docs(&variant.attrs);
                (!docs.is_empty()).then(|| quote!((#name, #docs)))
            });
            marks = quote! {
                #[automatically_derived]
                impl ::yado_sdk::__private::declared::Compared for #ident {
                    type As = Self;
                }
            };
            let schema = quote! {
                ::yado_sdk::__private::schema::Schema::one_of(&[#(#texts),*], &[#(#described),*])
                    .title(#name)
                    .description(#docs)
            };
            (serde, schema)
        }
        Data::Union(data) => return Err(syn::Error::new(data.union_token.span, "a value is a struct or an enum")),
    };
    Ok(quote! {
        const _: () = {
            #serde

            #marks

            #[automatically_derived]
            impl ::yado_sdk::Part for #ident {}

            #[automatically_derived]
            impl ::yado_sdk::Value for #ident {
                fn schema() -> ::yado_sdk::__private::schema::Schema {
                    #schema
                }
            }
        };
    })
}

/// The shape of a newtype: that of what it wraps, with the rules that the newtype adds.
fn wrapped(field: &syn::Field, docs: &str) -> syn::Result<TokenStream> {
    let ty = &field.ty;
    let inner = quote_spanned!(ty.span()=> <#ty as ::yado_sdk::Value>::schema);
    let rules = field::rules(&field.attrs)?;
    let rules = rules.iter().map(|rule| rule.apply(ty));
    Ok(quote! {{
        let schema = #inner();
        #(#rules)*
        schema.description(#docs)
    }})
}

/// A newtype takes the rules that what it wraps takes. Which those are only the compiler knows, and a bound that can't
/// hold is an error; but not if it is written as if it depended on a lifetime.
fn forwarded(ident: &Ident, ty: &Type) -> TokenStream {
    let marks = ["Measured", "Bounded", "Exact", "Textual"].map(|mark| Ident::new(mark, Span::call_site()));
    let compared = quote!(::yado_sdk::__private::declared::Compared);
    quote! {
        #(
            #[automatically_derived]
            impl ::yado_sdk::__private::rules::#marks for #ident where for<'a> #ty: ::yado_sdk::__private::rules::#marks {}
        )*

        #[automatically_derived]
        impl #compared for #ident where for<'a> #ty: #compared {
            type As = <#ty as #compared>::As;
        }
    }
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
        let newtype = refusal(parse_quote!(
            struct Title(#[schema(len(1..=5))] String);
        ));
        assert!(newtype.starts_with("`len` means nothing here"), "{newtype}");
    }

    #[test]
    fn variants_are_named_as_graphql_does_or_as_the_author_says() {
        let item: DeriveInput = parse_quote!(
            enum Status {
                InTransit,
                /// It is there.
                #[value(name = "done")]
                Done,
            }
        );
        let text = expand(&item).unwrap().to_string();
        assert!(text.contains("one_of (& [\"IN_TRANSIT\" , \"done\"] , & [(\"done\" , \"It is there.\")])"), "{text}");
    }
}
