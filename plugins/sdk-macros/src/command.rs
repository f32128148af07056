//! `#[derive(Command)]`.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{DeriveInput, LitStr, Path};

use crate::attribute;
use crate::field::Field;
use crate::message::{self, Message};

const WORDS: [&str; 4] = ["creates", "upserts", "returns = ProductRow", "roles(\"editor\")"];

#[derive(Default)]
struct Says {
    creates: Option<Span>,
    upserts: Option<Span>,
    returns: Option<Path>,
    roles: Vec<LitStr>,
}

pub(crate) fn expand(item: &DeriveInput) -> syn::Result<TokenStream> {
    let messages = message::variants(item, "command")?;
    let of = message::aggregate(item, "command", "Command")?;
    let coding = message::coding(&messages, "command", |_| 1);
    let described = messages.iter().map(|message| describe(message, &of)).collect::<syn::Result<Vec<_>>>()?;
    let ident = &item.ident;
    Ok(quote! {
        #[automatically_derived]
        impl ::yado_sdk::Command for #ident {
            type Of = #of;

            #coding

            fn describe() -> ::std::vec::Vec<::yado_sdk::__private::manifest::Command> {
                ::std::vec![#(#described),*]
            }
        }
    })
}

fn describe(message: &Message<'_>, of: &Path) -> syn::Result<TokenStream> {
    let Message { variant, name, docs, fields } = message;
    let says = says(variant)?;
    let id = id(fields)?;
    let manifest = quote!(::yado_sdk::__private::manifest);
    let target = match (id, says.creates, says.upserts) {
        (_, Some(_), Some(upserts)) => {
            return Err(syn::Error::new(upserts, "a command creates or upserts; it can't do both"));
        }
        (Some(id), Some(_), None) => {
            let message = "the host makes the id of what a command creates: leave this field out, or say `upserts` \
                           instead of `creates`";
            return Err(syn::Error::new(id.ident.span(), message));
        }
        (None, Some(_), None) => quote!(#manifest::Target::Create),
        (Some(id), None, upserts) => {
            if id.looks_optional() {
                return Err(syn::Error::new(id.ty.span(), "the id that says which one is meant can't be left out"));
            }
            let name = &id.name;
            if upserts.is_some() {
                quote!(#manifest::Target::Any(#name))
            } else {
                quote!(#manifest::Target::Existing(#name))
            }
        }
        (None, None, _) => {
            let thing = of.segments.last().map(|last| last.ident.to_string()).unwrap_or_default();
            let message = format!(
                "`{name}` doesn't say which {thing} it is for: give it a field `id: Id<{thing}>`, mark the field that \
                 holds its id with `#[id]`, or say `#[command(creates)]`"
            );
            return Err(syn::Error::new(variant.ident.span(), message));
        }
    };
    let shapes = fields.iter().map(|field| {
        let own = id.is_some_and(|id| id.ident == field.ident).then(|| {
            let ty = &field.ty;
            let own = quote_spanned!(ty.span()=> ::yado_sdk::__private::rules::own_id::<#of, #ty>);
            quote!(let schema = #own(schema);)
        });
        field.schema(&own.unwrap_or_default())
    });
    let returns = match &says.returns {
        Some(model) => {
            let model = quote_spanned!(model.span()=> <#model as ::yado_sdk::ReadModel>::NAME);
            quote!(::core::option::Option::Some(#model))
        }
        None => quote!(::core::option::Option::None),
    };
    let roles = &says.roles;
    Ok(quote! {
        #manifest::Command {
            name: #name,
            description: #docs,
            target: #target,
            payload: ::yado_sdk::__private::schema::Schema::object(::std::vec![#(#shapes),*]).closed(),
            returns: #returns,
            roles: &[#(#roles),*],
        }
    })
}

fn says(variant: &syn::Variant) -> syn::Result<Says> {
    let mut says = Says::default();
    attribute::each(&variant.attrs, "command", |meta| {
        let span = meta.path.span();
        if meta.path.is_ident("creates") {
            says.creates = Some(span);
        } else if meta.path.is_ident("upserts") {
            says.upserts = Some(span);
        } else if meta.path.is_ident("returns") {
            says.returns = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("roles") {
            says.roles = attribute::texts(&meta)?;
            says.roles.iter().try_for_each(|role| attribute::api_name(role).map(|_| ()))?;
        } else {
            return Err(attribute::unknown(&meta, &WORDS));
        }
        Ok(())
    })?;
    Ok(says)
}

/// The field that names the instance: the one with the mark, or else the one that is called `id`.
fn id(fields: &[Field]) -> syn::Result<Option<&Field>> {
    let mut marked = None;
    for field in fields {
        if let Some(mark) = attribute::mark(&field.attributes, "id")?
            && marked.replace(field).is_some()
        {
            return Err(syn::Error::new(
                mark.span(),
                "a command is for one instance: only one field can be its `#[id]`",
            ));
        }
    }
    Ok(marked.or_else(|| fields.iter().find(|field| field.ident == "id")))
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    fn refusal(item: DeriveInput) -> String {
        expand(&item).unwrap_err().to_string()
    }

    #[test]
    fn a_command_without_a_target_is_refused() {
        assert_eq!(
            refusal(parse_quote!(
                enum BasketCommand {
                    Close { reason: String },
                }
            )),
            "`Close` doesn't say which Basket it is for: give it a field `id: Id<Basket>`, mark the field that holds its \
             id with `#[id]`, or say `#[command(creates)]`"
        );
    }

    #[test]
    fn a_command_with_two_targets_is_refused() {
        let id = "the host makes the id of what a command creates: leave this field out, or say `upserts` instead of \
                  `creates`";
        assert_eq!(
            refusal(parse_quote!(
                enum BasketCommand {
                    #[command(creates)]
                    Open { id: Id<Basket> },
                }
            )),
            id
        );
        assert_eq!(
            refusal(parse_quote!(
                enum BasketCommand {
                    #[command(creates, upserts)]
                    Open { id: Id<Basket> },
                }
            )),
            "a command creates or upserts; it can't do both"
        );
        assert_eq!(
            refusal(parse_quote!(
                enum BasketCommand {
                    Move {
                        #[id]
                        from: Id<Basket>,
                        #[id]
                        to: Id<Basket>,
                    },
                }
            )),
            "a command is for one instance: only one field can be its `#[id]`"
        );
        assert_eq!(
            refusal(parse_quote!(
                enum BasketCommand {
                    Close { id: Option<Id<Basket>> },
                }
            )),
            "the id that says which one is meant can't be left out"
        );
    }

    #[test]
    fn a_word_that_means_nothing_is_refused_with_those_that_do() {
        assert_eq!(
            refusal(parse_quote!(
                enum BasketCommand {
                    #[command(create)]
                    Open {},
                }
            )),
            "`create` means nothing here; what does: `creates`, `upserts`, `returns = ProductRow`, `roles(\"editor\")`"
        );
        assert_eq!(
            refusal(parse_quote!(
                enum BasketCommand {
                    #[command(creates, roles("an editor"))]
                    Open {},
                }
            )),
            "`an editor` can't be a name in the API: it takes 1 to 64 ASCII letters, digits and single `_`, beginning \
             with a letter"
        );
    }

    #[test]
    fn what_is_no_enum_of_an_aggregate_is_refused() {
        assert_eq!(
            refusal(parse_quote!(
                struct OpenBasket;
            )),
            "make it an enum, with a variant for each command"
        );
        assert_eq!(
            refusal(parse_quote!(
                enum Actions {
                    #[command(creates)]
                    Open,
                }
            )),
            "of which aggregate is `Actions`? call it `ActionsCommand` after its aggregate, or say `#[command(of = \
             Product)]`"
        );
        assert_eq!(
            refusal(parse_quote!(
                enum BasketCommand {
                    #[command(creates)]
                    Open(String),
                }
            )),
            "give the fields of `Open` names: `{ name: String }`"
        );
    }

    #[test]
    fn the_target_is_the_marked_field_or_the_one_called_id() {
        let text = |item: DeriveInput| expand(&item).unwrap().to_string();
        assert!(
            text(parse_quote!(
                enum BasketCommand {
                    Close { id: Id<Basket> },
                }
            ))
            .contains("Existing (\"id\")")
        );
        let marked = text(parse_quote!(
            enum BasketCommand {
                #[command(upserts)]
                Close {
                    #[id]
                    basket_id: Id<Basket>,
                },
            }
        ));
        assert!(marked.contains("Any (\"basketId\")"), "{marked}");
    }
}
