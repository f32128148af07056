//! What `#[event(…)]` says of events of former times, and the steps that bring them up to date.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::meta::ParseNestedMeta;
use syn::spanned::Spanned;
use syn::{DeriveInput, Ident, LitInt, Path, Variant};

use crate::attribute;

/// For each older version, what brings it one step on.
#[derive(Default)]
struct Steps(Vec<(u32, Path)>);

/// What a variant says of its past.
pub(crate) struct History {
    /// The version that is recorded today.
    pub(crate) version: u32,
    /// The steps, that of version 1 first.
    steps: Vec<Path>,
    /// The names under which it was recorded.
    was: Vec<String>,
}

/// An event that is recorded no more.
pub(crate) struct Retired {
    name: String,
    steps: Vec<Path>,
}

impl Steps {
    /// Takes `from_v1 = convert`, if it is that.
    fn take(&mut self, meta: &ParseNestedMeta<'_>) -> syn::Result<bool> {
        let word = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
        let Some(version) = word.strip_prefix("from_v").and_then(|version| version.parse::<u32>().ok()) else {
            return Ok(false);
        };
        let step: Path = meta.value()?.parse()?;
        if version == 0 {
            return Err(syn::Error::new(meta.path.span(), "versions are counted from 1"));
        }
        if self.0.iter().any(|(known, _)| *known == version) {
            return Err(syn::Error::new(meta.path.span(), format!("`{word}` is said twice")));
        }
        self.0.push((version, step));
        Ok(true)
    }

    /// The steps of all versions before this one.
    fn before(mut self, version: u32, at: Span) -> syn::Result<Vec<Path>> {
        if let Some((older, path)) = self.0.iter().find(|(older, _)| *older >= version) {
            let message = format!("version {older} is not older than the current one, which is {version}");
            return Err(syn::Error::new(path.span(), message));
        }
        if let Some(missing) = (1..version).find(|version| !self.0.iter().any(|(older, _)| older == version)) {
            let next = if missing + 1 == version { "events of today" } else { "those of the version after it" };
            let message = format!(
                "events of version {missing} are in logs for ever: say how their fields become {next}, by \
                 `from_v{missing} = …`, a function of the fields that they had"
            );
            return Err(syn::Error::new(at, message));
        }
        self.0.sort_by_key(|(version, _)| *version);
        Ok(self.0.into_iter().map(|(_, step)| step).collect())
    }
}

/// Reads what stands on a variant.
pub(crate) fn history(variant: &Variant) -> syn::Result<History> {
    let (mut version, mut steps, mut was) = (1, Steps::default(), Vec::new());
    attribute::each(&variant.attrs, "event", |meta| {
        if meta.path.is_ident("version") {
            let number: LitInt = meta.value()?.parse()?;
            version = number.base10_parse()?;
            if version == 0 {
                return Err(syn::Error::new(number.span(), "versions are counted from 1"));
            }
        } else if meta.path.is_ident("was") {
            was.push(attribute::api_name(&attribute::text(&meta)?)?);
        } else if !steps.take(&meta)? {
            return Err(attribute::unknown(&meta, &["version = 2", "from_v1 = convert", "was = \"OldName\""]));
        }
        Ok(())
    })?;
    Ok(History { version, steps: steps.before(version, variant.ident.span())?, was })
}

/// Takes `retired(OldName, from_v1 = convert)`, if it is that.
pub(crate) fn retired(meta: &ParseNestedMeta<'_>) -> syn::Result<Option<Retired>> {
    if !meta.path.is_ident("retired") {
        return Ok(None);
    }
    let mut name: Option<Ident> = None;
    let mut steps = Steps::default();
    meta.parse_nested_meta(|meta| {
        if steps.take(&meta)? {
            return Ok(());
        }
        let ident = meta.path.require_ident()?;
        if name.is_some() || meta.input.peek(syn::Token![=]) {
            return Err(attribute::unknown(&meta, &["from_v1 = convert"]));
        }
        attribute::checked_name(&attribute::unraw(ident), ident.span())?;
        name = Some(ident.clone());
        Ok(())
    })?;
    let Some(name) = name else {
        return Err(meta.error("which event is retired? `retired(OldName, from_v1 = convert)`"));
    };
    let newest = steps.0.iter().map(|(version, _)| *version).max();
    let Some(newest) = newest else {
        let message = "say what becomes of it, for every version that it had: `from_v1 = convert`";
        return Err(syn::Error::new(name.span(), message));
    };
    let steps = steps.before(newest.saturating_add(1), name.span())?;
    Ok(Some(Retired { name: attribute::unraw(&name), steps }))
}

/// Names in the log mean one thing.
pub(crate) fn unambiguous(item: &DeriveInput, events: &[(&str, &History)], retired: &[Retired]) -> syn::Result<()> {
    let current = events.iter().map(|(name, _)| *name);
    let past = events.iter().flat_map(|(_, history)| history.was.iter().map(String::as_str));
    let mut names: Vec<&str> = current.chain(past).chain(retired.iter().map(|event| event.name.as_str())).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => {
            let message = format!("the log can't tell two events of the name `{}` apart", pair[0]);
            Err(syn::Error::new(item.ident.span(), message))
        }
        None => Ok(()),
    }
}

/// The expansion: `PAST`, `upcast` and `older`.
pub(crate) fn expand(events: &[(&str, &History)], retired: &[Retired]) -> TokenStream {
    let private = quote!(::yado_sdk::__private);
    let error = quote!(#private::json::Unreadable);
    let (mut arms, mut older, mut past) = (Vec::new(), Vec::new(), Vec::new());
    for (at, (name, history)) in events.iter().enumerate() {
        let version = history.version;
        let names = || std::iter::once(*name).chain(history.was.iter().map(String::as_str));
        chain(&mut arms, &mut older, &history.steps, || names().collect());
        for was in &history.was {
            past.push(quote!(#private::manifest::PastEvent { name: #was, version: #version }));
            // The fields are those of today, and only the name has changed since.
            arms.push(quote! {
                (#was, #version) => ::core::result::Result::Ok(::std::vec![
                    <Self as ::yado_sdk::Event>::decode(#name, payload)?
                ]),
            });
            older.push(quote! {
                #private::upcast::Older {
                    name: #was,
                    version: #version,
                    payload: <Self as ::yado_sdk::Event>::describe().swap_remove(#at).payload,
                }
            });
        }
    }
    for Retired { name, steps } in retired {
        let version = u32::try_from(steps.len()).unwrap_or(u32::MAX);
        past.push(quote!(#private::manifest::PastEvent { name: #name, version: #version }));
        chain(&mut arms, &mut older, steps, || vec![name]);
    }
    quote! {
        const PAST: &'static [#private::manifest::PastEvent] = &[#(#past),*];

        fn upcast(name: &str, version: u32, payload: &str) -> ::core::result::Result<::std::vec::Vec<Self>, #error> {
            match (name, version) {
                #(#arms)*
                _ => ::core::result::Result::Ok(::std::vec![<Self as ::yado_sdk::Event>::decode(name, payload)?]),
            }
        }

        fn older() -> ::std::vec::Vec<#private::upcast::Older> {
            ::std::vec![#(#older),*]
        }
    }
}

/// An arm for each older version: from its fields through all the steps that follow.
fn chain<'a>(
    arms: &mut Vec<TokenStream>,
    older: &mut Vec<TokenStream>,
    steps: &[Path],
    names: impl Fn() -> Vec<&'a str>,
) {
    let upcast = quote!(::yado_sdk::__private::upcast);
    for (at, first) in steps.iter().enumerate() {
        let version = u32::try_from(at + 1).unwrap_or(u32::MAX);
        let mut onward = quote!();
        for (at, step) in steps.iter().enumerate().skip(at).rev() {
            onward = match at + 1 == steps.len() {
                true => quote_spanned!(step.span()=> #upcast::last(old, #step)),
                false => quote_spanned!(step.span()=> #upcast::step(old, #step, |old| #onward)),
            };
        }
        let patterns = names();
        arms.push(quote!((#(#patterns)|*, #version) => #upcast::begin(name, payload, |old| #onward),));
        for name in names() {
            older.push(quote_spanned!(first.span()=> #upcast::older(#name, #version, #first)));
        }
    }
}
