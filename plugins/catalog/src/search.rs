//! Looking for products by what they are called and what they cost.

use yado_sdk::prelude::*;

use crate::ProductRow;

/// Products whose name contains a text and whose price lies in a range, by name.
#[derive(Query)]
#[query(of = ProductRow, page(products, total_count), order(name))]
pub struct SearchProducts {
    /// A part of the name, in upper or lower case.
    #[schema(length(..=200))]
    #[filter(name, contains)]
    name: Option<String>,
    /// What they may cost.
    #[filter(price, at_least = min, at_most = max)]
    price_range: Option<PriceRange>,
    /// Which part of the answer; the first 20 unless it says otherwise.
    #[page(number = page, size = limit, default = 20)]
    pagination: Option<Pagination>,
}

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

#[cfg(test)]
mod tests {
    use yado_sdk::Page;
    use yado_sdk::test_kit::{Given, at, plugin as catalog};

    use super::*;
    use crate::{Product, ProductEvent};

    fn search(name: &str, price_range: Option<PriceRange>, pagination: Option<Pagination>) -> SearchProducts {
        SearchProducts { name: Some(name.into()), price_range, pagination }
    }

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
        let expected = Page { rows: vec![row("Bookend", 12, 2), row("MacBook", 999, 1)], total: 2 };
        books().ask(search("book", from_ten, None)).then_answer(&expected);
    }

    #[test]
    fn a_page_is_part_of_what_is_counted() {
        let second = Some(Pagination { page: 2, limit: 2 });
        let expected = Page { rows: vec![row("Notebook", 3, 3)], total: 3 };
        books().ask(search("BOOK", None, second)).then_answer(&expected);
    }
}
