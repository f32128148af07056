//! What commands and events have in common: each is an enum, and each variant is a name and a payload.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Path, Variant};

use crate::attribute;
use crate::field::Field;

/// A variant, read.
pub(crate) struct Message<'a> {
    pub(crate) variant: &'a Variant,
    pub(crate) name: String,
    pub(crate) docs: String,
    pub(crate) fields: Vec<Field>,
}

/// The variants of the enum that a derive stands on; `kind` is `command` or `event`.
pub(crate) fn variants<'a>(item: &'a DeriveInput, kind: &str) -> syn::Result<Vec<Message<'a>>> {
    attribute::no_generics(item)?;
    let Data::Enum(data) = &item.data else {
        return Err(syn::Error::new(item.ident.span(), format!("make it an enum, with a variant for each {kind}")));
    };
    data.variants
        .iter()
        .map(|variant| {
            let name = attribute::unraw(&variant.ident);
            attribute::checked_name(&name, variant.ident.span())?;
            let fields = Field::all(&variant.fields, &format!("`{name}`"))?;
            Ok(Message { variant, name, docs: attribute::docs(&variant.attrs), fields })
        })
        .collect()
}

/// The aggregate that the enum is of: named by `of = …`, or by the enum's own name without `suffix`.
pub(crate) fn aggregate(item: &DeriveInput, attribute_name: &str, suffix: &str) -> syn::Result<Path> {
    let mut of = attribute::without_suffix(&item.ident, suffix).map(Path::from);
    attribute::each(&item.attrs, attribute_name, |meta| {
        if !meta.path.is_ident("of") {
            return Err(attribute::unknown(&meta, &["of = Product"]));
        }
        of = Some(meta.value()?.parse()?);
        Ok(())
    })?;
    of.ok_or_else(|| of_which_aggregate(item, attribute_name, suffix))
}

/// Nothing says of which aggregate the enum is.
pub(crate) fn of_which_aggregate(item: &DeriveInput, attribute_name: &str, suffix: &str) -> syn::Error {
    let ident = &item.ident;
    let advice = format!("call it `{ident}{suffix}` after its aggregate, or say `#[{attribute_name}(of = Product)]`");
    syn::Error::new(ident.span(), format!("of which aggregate is `{ident}`? {advice}"))
}

impl Message<'_> {
    /// `Self::Created { name, price }`: a pattern and an expression alike.
    pub(crate) fn pattern(&self) -> TokenStream {
        let ident = &self.variant.ident;
        let fields = self.fields.iter().map(|field| &field.ident);
        match self.variant.fields {
            syn::Fields::Unit => quote!(Self::#ident),
            _ => quote!(Self::#ident { #(#fields),* }),
        }
    }

    /// An expression that makes the variant from `payload`, a JSON text, or returns why it can't.
    pub(crate) fn decode(&self) -> TokenStream {
        let Self { name, fields, .. } = self;
        let whole = self.pattern();
        if fields.is_empty() {
            return quote!(::core::result::Result::Ok(#whole));
        }
        let ident = &self.variant.ident;
        let fields = fields.iter().map(Field::read_from);
        quote! {{
            let fields = ::yado_sdk::__private::json::Fields::read(#name, payload)?;
            ::core::result::Result::Ok(Self::#ident { #(#fields),* })
        }}
    }

    /// An expression for the message that the variant, taken apart by [`pattern`](Self::pattern), is sent as.
    pub(crate) fn encode(&self, version: u32) -> TokenStream {
        let Self { name, fields, .. } = self;
        let fields = fields.iter().map(Field::write_to);
        quote! {
            ::yado_sdk::__private::Message {
                name: #name,
                version: #version,
                payload: ::yado_sdk::__private::json::Writer::default()#(#fields)*.finish(),
            }
        }
    }
}

/// `decode` and `encode` of the whole enum.
pub(crate) fn coding(messages: &[Message<'_>], kind: &str, version: impl Fn(usize) -> u32) -> TokenStream {
    let names = messages.iter().map(|message| &message.name);
    let decoded = messages.iter().map(Message::decode);
    let patterns = messages.iter().map(Message::pattern);
    let encoded = messages.iter().enumerate().map(|(at, message)| message.encode(version(at)));
    let error = quote!(::yado_sdk::__private::json::Unreadable);
    // An enum without variants has no value to take apart, and `match self {}` does not do for a reference.
    let encode =
        if messages.is_empty() { quote!(match *self {}) } else { quote!(match self { #(#patterns => #encoded),* }) };
    quote! {
        #[allow(unused_variables)]
        fn decode(name: &str, payload: &str) -> ::core::result::Result<Self, #error> {
            match name {
                #(#names => #decoded,)*
                other => ::core::result::Result::Err(#error::unknown(#kind, other)),
            }
        }

        fn encode(&self) -> ::yado_sdk::__private::Message {
            #encode
        }
    }
}
