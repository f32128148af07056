//! Looking for products by what they are called and what they cost.

use yado_sdk::prelude::*;

use crate::ProductRow;

/// From one price to another, both included.
#[derive(Value)]
pub struct PriceRange {
    /// Not cheaper than this.
    #[schema(min = 0)]
    min: Option<Decimal>,
    /// Not dearer than this.
    #[schema(min = 0)]
    max: Option<Decimal>,
}

/// Which part of a long answer.
#[derive(Value)]
pub struct Pagination {
    /// Which page, counted from 1.
    #[schema(min = 1, max = 100_000)]
    page: u32,
    /// How many to a page.
    #[schema(min = 1, max = 100)]
    limit: u32,
}

/// A page of products.
#[derive(Value)]
pub struct ProductPage {
    /// The products of this page, by name.
    products: Vec<ProductRow>,
    /// How many there are on all pages together.
    total_count: u32,
}

/// Products whose name contains a text and whose price lies in a range, by name.
#[query]
pub fn search_products(
    /// A part of the name, in upper or lower case.
    #[schema(length(..=200))]
    name: Option<String>,
    /// What they may cost.
    price_range: Option<PriceRange>,
    /// Which part of the answer; the first 20 unless it says otherwise.
    pagination: Option<Pagination>,
    rows: &Rows<ProductRow>,
) -> Result<ProductPage, Rejection> {
    let PriceRange { min, max } = price_range.unwrap_or(PriceRange { min: None, max: None });
    let Pagination { page, limit } = pagination.unwrap_or(Pagination { page: 1, limit: 20 });
    let found = || {
        rows.find(|row| {
            let name = name.as_deref().map(|name| row.name.contains(name));
            let bounds = [min.map(|min| row.price.at_least(min)), max.map(|max| row.price.at_most(max))];
            name.into_iter().chain(bounds.into_iter().flatten())
        })
    };
    let products = found().by(|row| &row.name).skip((page - 1) * limit).limit(limit).list();
    let total_count = u32::try_from(found().count()).unwrap_or(u32::MAX);
    Ok(ProductPage { products, total_count })
}

#[cfg(test)]
mod tests {
    use yado_sdk::test_kit::{Given, at, plugin as catalog};

    use super::*;
    use crate::{Product, ProductEvent};

    fn id(name: &str) -> Id<Product> {
        Id::new(name.to_lowercase())
    }

    fn created(name: &str, price: i64) -> ProductEvent {
        ProductEvent::ProductCreated { name: name.into(), price: price.into(), category_id: Id::new("desk") }
    }

    fn books() -> Given<'static> {
        catalog()
            .given(&id("MacBook"), [created("MacBook", 999)])
            .given(&id("Bookend"), [created("Bookend", 12)])
            .given(&id("Notebook"), [created("Notebook", 3)])
            .given(&id("Pen"), [created("Pen", 2)])
    }

    fn row(name: &str, price: i64, position: u64) -> ProductRow {
        let (created_at, updated_at) = (at(position), at(position));
        ProductRow {
            id: id(name),
            name: name.into(),
            price: price.into(),
            category_id: Id::new("desk"),
            created_at,
            updated_at,
        }
    }

    #[test]
    fn products_are_found_by_part_of_a_name_and_by_price() {
        let from_ten = Some(PriceRange { min: Some(10.into()), max: None });
        let expected = ProductPage { products: vec![row("Bookend", 12, 2), row("MacBook", 999, 1)], total_count: 2 };
        books().ask(search_products::with(Some("book".into()), from_ten, None)).then_answer(&expected);
    }

    #[test]
    fn a_page_is_part_of_what_is_counted() {
        let second = Some(Pagination { page: 2, limit: 2 });
        let expected = ProductPage { products: vec![row("Notebook", 3, 3)], total_count: 3 };
        books().ask(search_products::with(Some("BOOK".into()), None, second)).then_answer(&expected);
    }
}
