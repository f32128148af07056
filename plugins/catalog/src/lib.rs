//! What a shop sells: products, and the categories that they stand in.

#![allow(
    missing_docs,
    reason = "no crate builds on this one, and the fields of events say what they are by their names"
)]

mod category;
mod product;
mod search;

pub use category::{Category, CategoryCommand, CategoryEvent, CategoryRow};
pub use product::{Product, ProductCommand, ProductEvent, ProductRow};
pub use search::{Pagination, PriceRange, SearchProducts};

yado_sdk::plugin! {
    name: "catalog",
    aggregates: [Category, Product],
    models: [CategoryRow, ProductRow],
    queries: [SearchProducts],
}

#[cfg(test)]
mod tests {
    use yado_sdk::test_kit::plugin as catalog;

    #[test]
    fn the_manifest_says_what_the_page_says() {
        // Whoever changes this snapshot changes the API that callers see.
        insta::assert_snapshot!(serde_json::to_string_pretty(catalog().manifest().as_ref()).unwrap());
    }
}
