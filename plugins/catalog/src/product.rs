//! Products.

use yado_sdk::prelude::*;

use crate::{Category, CategoryRow};
use ProductCommand::{CreateProduct, DeleteProduct, UpdateProduct};
use ProductEvent::{ProductCreated, ProductDeleted, ProductMoved, ProductRenamed, ProductRepriced};

/// Something for sale.
#[derive(State)]
pub struct Product {
    name: String,
    price: Decimal,
    category: Id<Category>,
}

/// What can be asked of a product.
#[derive(Command)]
pub enum ProductCommand {
    /// Puts a new product into a category.
    #[command(creates, returns = ProductRow)]
    CreateProduct {
        /// What it is called.
        #[schema(length(1..=200))]
        name: String,
        /// What one of it costs.
        #[schema(min = 0, places = 2)]
        price: Decimal,
        /// Where it stands.
        category_id: Id<Category>,
    },
    /// Changes what is given, and leaves the rest.
    #[command(returns = ProductRow)]
    UpdateProduct {
        /// Which product.
        id: Id<Product>,
        /// What it is called from now on.
        #[schema(length(1..=200))]
        name: Option<String>,
        /// What one of it costs from now on.
        #[schema(min = 0, places = 2)]
        price: Option<Decimal>,
        /// Where it stands from now on.
        category_id: Option<Id<Category>>,
    },
    /// Takes a product off the shelves.
    DeleteProduct {
        /// Which product.
        id: Id<Product>,
    },
}

/// What can happen to a product.
#[derive(Event)]
pub enum ProductEvent {
    /// It was put up for sale.
    ProductCreated { name: String, price: Decimal, category_id: Id<Category> },
    /// It got another name.
    ProductRenamed { name: String },
    /// It got another price.
    #[event(version = 2, from_v1 = euros)]
    ProductRepriced { price: Decimal },
    /// It was moved to another category.
    ProductMoved { category_id: Id<Category> },
    /// It was taken off the shelves.
    ProductDeleted,
}

/// What `ProductRepriced` had in its first version: whole cents.
#[derive(Value)]
struct RepricedInCents {
    #[schema(min = 0)]
    cents: i64,
}

fn euros(old: RepricedInCents) -> ProductEvent {
    ProductRepriced { price: Decimal::new(old.cents, 2) }
}

impl Aggregate for Product {
    type Command = ProductCommand;
    type Event = ProductEvent;

    fn decide(product: Option<&Self>, command: ProductCommand, _: &Context) -> Decision<ProductEvent> {
        match (product, command) {
            (None, CreateProduct { name, price, category_id }) => record(ProductCreated { name, price, category_id }),
            (Some(_), CreateProduct { .. }) => reject("product_exists", "The product exists already."),
            (None, _) => reject("product_deleted", "The product has been deleted."),
            (Some(now), UpdateProduct { name, price, category_id, .. }) => {
                let renamed = name.filter(|name| *name != now.name).map(|name| ProductRenamed { name });
                let repriced = price.filter(|price| *price != now.price).map(|price| ProductRepriced { price });
                let moved =
                    category_id.filter(|id| *id != now.category).map(|category_id| ProductMoved { category_id });
                record(Vec::from_iter([renamed, repriced, moved].into_iter().flatten()))
            }
            (Some(_), DeleteProduct { .. }) => record(ProductDeleted),
        }
    }

    fn evolve(product: Option<Self>, event: ProductEvent) -> Option<Self> {
        match (product, event) {
            (_, ProductCreated { name, price, category_id }) => Some(Self { name, price, category: category_id }),
            (Some(product), ProductRenamed { name }) => Some(Self { name, ..product }),
            (Some(product), ProductRepriced { price }) => Some(Self { price, ..product }),
            (Some(product), ProductMoved { category_id }) => Some(Self { category: category_id, ..product }),
            (_, ProductDeleted) | (None, _) => None,
        }
    }
}

/// A product as shops show it.
#[derive(ReadModel)]
pub struct ProductRow {
    /// Names the product.
    #[key]
    pub id: Id<Product>,
    /// What it is called.
    #[search]
    #[index]
    #[schema(length(1..=200))]
    pub name: String,
    /// What one of it costs.
    #[index]
    pub price: Decimal,
    /// Where it stands.
    #[index]
    #[relation(to = CategoryRow, as = "category")]
    pub category_id: Id<Category>,
    /// When it was put up for sale.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Projection for ProductRow {
    type Event = Recorded<ProductEvent>;

    fn project(recorded: &Recorded<ProductEvent>, rows: &mut Rows<Self>) {
        let (id, at) = (recorded.id(), recorded.at);
        match &recorded.event {
            ProductCreated { name, price, category_id } => rows.put(Self {
                id,
                name: name.clone(),
                price: *price,
                category_id: category_id.clone(),
                created_at: at,
                updated_at: at,
            }),
            ProductRenamed { name } => rows.patch(&id, |row| [row.name.to(name), row.updated_at.to(at)]),
            ProductRepriced { price } => rows.patch(&id, |row| [row.price.to(*price), row.updated_at.to(at)]),
            ProductMoved { category_id } => {
                rows.patch(&id, |row| [row.category_id.to(category_id), row.updated_at.to(at)]);
            }
            ProductDeleted => rows.delete(&id),
        }
    }
}

#[cfg(test)]
mod tests {
    use yado_sdk::test_kit::{at, plugin as catalog};

    use super::*;

    fn pen() -> Id<Product> {
        Id::new("pen")
    }

    fn price(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    fn created(name: &str, price: &str) -> ProductEvent {
        ProductCreated { name: name.into(), price: self::price(price), category_id: Id::new("desk") }
    }

    fn reprice(id: &Id<Product>, price: &str) -> ProductCommand {
        UpdateProduct { id: id.clone(), name: None, price: Some(self::price(price)), category_id: None }
    }

    #[test]
    fn a_product_is_created_as_it_was_asked_for() {
        let create = CreateProduct { name: "Pen".into(), price: price("2.50"), category_id: Id::new("desk") };
        catalog().when(create).then([created("Pen", "2.50")]);
    }

    #[test]
    fn an_update_records_what_it_changes_and_nothing_else() {
        let update = |name: &str, price: &str, category: &str| UpdateProduct {
            id: pen(),
            name: Some(name.into()),
            price: Some(self::price(price)),
            category_id: Some(Id::new(category)),
        };
        let given = || catalog().given(&pen(), [created("Pen", "2.50")]);
        given().when(update("Pencil", "3.00", "art")).then([
            ProductRenamed { name: "Pencil".into() },
            ProductRepriced { price: price("3.00") },
            ProductMoved { category_id: Id::new("art") },
        ]);
        given().when(update("Pen", "3.00", "desk")).then([ProductRepriced { price: price("3.00") }]);
        given().when(update("Pen", "2.5", "desk")).then_nothing();
    }

    #[test]
    fn a_deleted_product_cannot_be_repriced() {
        catalog()
            .given(&pen(), [created("Pen", "2.50"), ProductDeleted])
            .when(reprice(&pen(), "3.00"))
            .then_rejected("product_deleted");
    }

    #[test]
    fn a_price_is_neither_negative_nor_finer_than_a_cent() {
        let given = || catalog().given(&pen(), [created("Pen", "2.50")]);
        given().when(reprice(&pen(), "-1")).then_invalid("/price", "must be at least 0");
        given().when(reprice(&pen(), "0.005")).then_invalid("/price", "must have at most 2 digits after the point");
    }

    #[test]
    fn prices_that_were_recorded_in_cents_are_read_as_euros() {
        let given = catalog().given(&pen(), [created("Pen", "2.50")]).upcasts::<ProductEvent>();
        let given = given.given_old::<ProductEvent>(&pen(), "ProductRepriced", 1, &RepricedInCents { cents: 305 });
        given.when(reprice(&pen(), "3.05")).then_nothing();
    }

    #[test]
    fn shops_show_what_a_product_has_become() {
        let row = ProductRow {
            id: pen(),
            name: "Pen".into(),
            price: price("3.00"),
            category_id: Id::new("desk"),
            created_at: at(1),
            updated_at: at(2),
        };
        let repriced = catalog().given(&pen(), [created("Pen", "2.50")]).when(reprice(&pen(), "3.00")).then_rows([row]);
        repriced.when(DeleteProduct { id: pen() }).then([ProductDeleted]).then_rows::<ProductRow>([]);
    }
}
