//! A field of a command, an event, a read model or a value: its name, its type and the rules it keeps.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{
    Attribute, Expr, ExprLit, ExprRange, ExprUnary, Fields, Ident, Lit, LitInt, LitStr, Path, RangeLimits, Type, UnOp,
};

use crate::attribute;

/// What `#[schema(…)]` knows.
const RULES: [&str; 6] = ["length(1..=200)", "min = 0", "max = 100", "places = 2", "pattern = \"…\"", "email"];

pub(crate) struct Field {
    pub(crate) ident: Ident,
    /// The name in the API.
    pub(crate) name: String,
    pub(crate) ty: Type,
    pub(crate) docs: String,
    pub(crate) attributes: Vec<Attribute>,
    rules: Vec<Rule>,
}

/// One rule of `#[schema(…)]`.
pub(crate) struct Rule {
    span: Span,
    kind: Kind,
}

enum Kind {
    Shortest(u64),
    Longest(u64),
    Least(TokenStream),
    Most(TokenStream),
    Places(u32),
    Pattern(LitStr),
    Email,
}

impl Field {
    /// The fields of a struct or a variant; `what` names it in a refusal.
    pub(crate) fn all(fields: &Fields, what: &str) -> syn::Result<Vec<Self>> {
        match fields {
            Fields::Named(fields) => fields.named.iter().map(Self::named).collect(),
            Fields::Unit => Ok(Vec::new()),
            Fields::Unnamed(fields) => {
                Err(syn::Error::new(fields.span(), format!("give the fields of {what} names: `{{ name: String }}`")))
            }
        }
    }

    fn named(field: &syn::Field) -> syn::Result<Self> {
        let ident = field.ident.as_ref().ok_or_else(|| syn::Error::new(field.span(), "a field needs a name"))?;
        Self::new(ident, &field.ty, &field.attrs)
    }

    /// A field, or what is described like one: an argument of a query.
    pub(crate) fn new(ident: &Ident, ty: &Type, attributes: &[Attribute]) -> syn::Result<Self> {
        let name = attribute::camel(ident);
        if ident.to_string().starts_with('_') {
            return Err(syn::Error::new(ident.span(), "a name in the API can't begin with `_`"));
        }
        attribute::checked_name(&name, ident.span())?;
        Ok(Self {
            name,
            ty: ty.clone(),
            docs: attribute::docs(attributes),
            rules: rules(attributes)?,
            attributes: attributes.to_vec(),
            ident: ident.clone(),
        })
    }

    /// Whether the type is written as an `Option`. What the type really is only the compiler knows; this serves to
    /// refuse a mistake where it is made.
    pub(crate) fn looks_optional(&self) -> bool {
        attribute::inside_option(&self.ty).is_some()
    }

    /// An expression for the field's shape. `more` is applied to it at last.
    pub(crate) fn schema(&self, more: &TokenStream) -> TokenStream {
        let Self { name, ty, docs, rules, .. } = self;
        let rules = rules.iter().map(|rule| rule.apply(ty));
        let field = quote_spanned!(ty.span()=> ::yado_sdk::__private::rules::field::<#ty>);
        quote! {
            #field(#name, #docs, |schema| {
                #(#rules)*
                #more
                schema
            })
        }
    }

    /// The field in a struct expression, read from `fields`.
    pub(crate) fn read_from(&self) -> TokenStream {
        let (ident, value) = (&self.ident, self.read());
        quote!(#ident: #value)
    }

    /// An expression for the field's value, read from `fields`.
    pub(crate) fn read(&self) -> TokenStream {
        let Self { name, ty, .. } = self;
        let get = quote_spanned!(ty.span()=> fields.get::<#ty>);
        quote!(#get(#name)?)
    }

    /// A call that adds the field, which is in scope as a reference, to a writer.
    pub(crate) fn write_to(&self) -> TokenStream {
        let Self { ident, name, ty, .. } = self;
        let field = quote_spanned!(ty.span()=> field::<#ty>);
        quote!(.#field(#name, #ident))
    }
}

impl Rule {
    /// A statement that adds the rule to `schema`, which is that of the type.
    pub(crate) fn apply(&self, ty: &Type) -> TokenStream {
        let rules = quote!(::yado_sdk::__private::rules);
        let call = match &self.kind {
            Kind::Shortest(length) => quote_spanned!(self.span=> #rules::shortest::<#ty>(schema, #length)),
            Kind::Longest(length) => quote_spanned!(self.span=> #rules::longest::<#ty>(schema, #length)),
            Kind::Least(bound) => quote_spanned!(self.span=> #rules::least::<#ty>(schema, #bound)),
            Kind::Most(bound) => quote_spanned!(self.span=> #rules::most::<#ty>(schema, #bound)),
            Kind::Places(places) => quote_spanned!(self.span=> #rules::places::<#ty>(schema, #places)),
            Kind::Pattern(pattern) => quote_spanned!(self.span=> #rules::pattern::<#ty>(schema, #pattern)),
            Kind::Email => quote_spanned!(self.span=> #rules::email::<#ty>(schema)),
        };
        quote!(let schema = #call;)
    }
}

/// What `#[schema(…)]` says.
pub(crate) fn rules(attributes: &[Attribute]) -> syn::Result<Vec<Rule>> {
    let mut rules = Vec::new();
    attribute::each(attributes, "schema", |meta| {
        let span = meta.path.span();
        let mut add = |kind| rules.push(Rule { span, kind });
        match word(&meta.path).as_str() {
            "length" => {
                let inside;
                syn::parenthesized!(inside in meta.input);
                let (shortest, longest) = length(&inside.parse()?)?;
                shortest.into_iter().for_each(|length| add(Kind::Shortest(length)));
                longest.into_iter().for_each(|length| add(Kind::Longest(length)));
            }
            "min" => add(Kind::Least(number(&meta.value()?.parse()?)?)),
            "max" => add(Kind::Most(number(&meta.value()?.parse()?)?)),
            "places" => add(Kind::Places(meta.value()?.parse::<LitInt>()?.base10_parse()?)),
            "pattern" => add(Kind::Pattern(attribute::text(&meta)?)),
            "email" => add(Kind::Email),
            _ => return Err(attribute::unknown(&meta, &RULES)),
        }
        Ok(())
    })?;
    Ok(rules)
}

fn word(path: &Path) -> String {
    path.get_ident().map(ToString::to_string).unwrap_or_default()
}

/// `1..=200`, `1..`, `..=200`, or a single number for an exact length.
fn length(expression: &Expr) -> syn::Result<(Option<u64>, Option<u64>)> {
    let bad = || syn::Error::new(expression.span(), "a length is a range such as `1..=200`, or a number");
    match expression {
        Expr::Range(ExprRange { start, end, limits, .. }) => {
            let whole =
                |bound: &Option<Box<Expr>>| bound.as_deref().map(|bound| whole(bound).ok_or_else(bad)).transpose();
            let (start, end) = (whole(start)?, whole(end)?);
            let end = match (end, limits) {
                (Some(0), RangeLimits::HalfOpen(_)) => return Err(bad()),
                (Some(end), RangeLimits::HalfOpen(_)) => Some(end - 1),
                (end, _) => end,
            };
            if start.zip(end).is_some_and(|(start, end)| start > end) {
                return Err(syn::Error::new(expression.span(), "nothing has such a length"));
            }
            Ok((start.filter(|start| *start > 0), end))
        }
        other => whole(other).map(|exact| (Some(exact), Some(exact))).ok_or_else(bad),
    }
}

fn whole(expression: &Expr) -> Option<u64> {
    match expression {
        Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) => number.base10_parse().ok(),
        _ => None,
    }
}

/// A number as it stands in the attribute, for the expansion to hand to the SDK.
fn number(expression: &Expr) -> syn::Result<TokenStream> {
    let bad = || syn::Error::new(expression.span(), "a bound is a number, such as `0` or `-0.5`");
    let (sign, literal) = match expression {
        Expr::Unary(ExprUnary { op: UnOp::Neg(_), expr, .. }) => ("-", expr.as_ref()),
        other => ("", other),
    };
    let Expr::Lit(ExprLit { lit, .. }) = literal else { return Err(bad()) };
    match lit {
        Lit::Int(number) => {
            let number: i128 = format!("{sign}{}", number.base10_digits()).parse().map_err(|_| bad())?;
            // The schema carries 64 bits, and so does JSON between most languages.
            let sound = i128::from(i64::MIN) <= number && number <= i128::from(u64::MAX);
            if sound { Ok(quote!(::yado_sdk::__private::schema::Number::Whole(#number))) } else { Err(bad()) }
        }
        Lit::Float(number) => {
            let text = format!("{sign}{}", number.base10_digits());
            let number: f64 = text.parse().map_err(|_| bad())?;
            Ok(quote!(::yado_sdk::__private::schema::Number::Real(#number, #text)))
        }
        _ => Err(bad()),
    }
}

#[cfg(test)]
mod tests {
    use syn::{DeriveInput, parse_quote};

    use super::*;

    fn refusal(item: DeriveInput) -> String {
        let syn::Data::Struct(data) = item.data else { panic!("a struct is meant") };
        Field::all(&data.fields, "`S`").map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn rules_are_read_as_they_are_meant() {
        assert_eq!(length(&parse_quote!(1..=200)).unwrap(), (Some(1), Some(200)));
        assert_eq!(length(&parse_quote!(0..10)).unwrap(), (None, Some(9)));
        assert_eq!(length(&parse_quote!(3..)).unwrap(), (Some(3), None));
        assert_eq!(length(&parse_quote!(8)).unwrap(), (Some(8), Some(8)));
        assert!(number(&parse_quote!(-0.5)).unwrap().to_string().contains("\"-0.5\""));
    }

    #[test]
    fn a_bad_rule_is_refused_with_what_would_do() {
        assert_eq!(
            refusal(parse_quote!(
                struct S {
                    #[schema(len(1..=2))]
                    name: String,
                }
            )),
            "`len` means nothing here; what does: `length(1..=200)`, `min = 0`, `max = 100`, `places = 2`, \
             `pattern = \"…\"`, `email`"
        );
        assert_eq!(
            refusal(parse_quote!(
                struct S {
                    #[schema(length("long"))]
                    name: String,
                }
            )),
            "a length is a range such as `1..=200`, or a number"
        );
        assert_eq!(
            refusal(parse_quote!(
                struct S {
                    #[schema(length(5..=2))]
                    name: String,
                }
            )),
            "nothing has such a length"
        );
        assert_eq!(
            refusal(parse_quote!(
                struct S {
                    #[schema(min = "0")]
                    price: Decimal,
                }
            )),
            "a bound is a number, such as `0` or `-0.5`"
        );
        assert_eq!(
            refusal(parse_quote!(
                struct S {
                    #[schema]
                    price: Decimal,
                }
            )),
            "say what is meant: `#[schema(…)]`"
        );
    }

    #[test]
    fn a_bad_name_is_refused() {
        assert_eq!(
            refusal(parse_quote!(
                struct S {
                    _name: String,
                }
            )),
            "a name in the API can't begin with `_`"
        );
        assert!(
            refusal(parse_quote!(
                struct S {
                    größe: u32,
                }
            ))
            .contains("can't be a name in the API")
        );
        assert_eq!(
            refusal(parse_quote!(
                struct S(String);
            )),
            "give the fields of `S` names: `{ name: String }`"
        );
    }
}
