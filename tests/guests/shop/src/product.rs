//! Events of older versions.

use yado_sdk::prelude::*;
#[cfg(test)]
use yado_sdk::test_kit::plugin;

/// Something for sale.
#[derive(State)]
pub struct Product {
    price: Decimal,
    currency: String,
}

#[derive(Command)]
pub enum ProductCommand {
    /// Says what something costs from now on.
    #[command(upserts)]
    RepriceProduct {
        id: Id<Product>,
        #[schema(min = 0)]
        price: Decimal,
        #[schema(length(3))]
        currency: String,
    },
}

impl Aggregate for Product {
    type Command = ProductCommand;
    type Event = ProductEvent;

    fn decide(product: Option<&Self>, command: ProductCommand, _: &Context) -> Decision<ProductEvent> {
        let ProductCommand::RepriceProduct { price, currency, .. } = command;
        let differs = product.is_none_or(|now| now.price != price || now.currency != currency);
        record(differs.then_some(ProductEvent::ProductRepriced { price, currency }))
    }

    fn evolve(_: Option<Self>, event: ProductEvent) -> Option<Self> {
        let ProductEvent::ProductRepriced { price, currency } = event;
        Some(Self { price, currency })
    }
}

#[derive(Event)]
pub enum ProductEvent {
    #[event(version = 3, from_v1 = in_euros, from_v2 = with_currency)]
    ProductRepriced { price: Decimal, currency: String },
}

/// What version 1 had.
#[derive(Value)]
struct RepricedV1 {
    cents: i64,
}

/// What version 2 had.
#[derive(Value)]
struct RepricedV2 {
    price: Decimal,
}

fn in_euros(old: RepricedV1) -> RepricedV2 {
    RepricedV2 { price: Decimal::new(old.cents, 2) }
}

fn with_currency(old: RepricedV2) -> ProductEvent {
    ProductEvent::ProductRepriced { price: old.price, currency: "EUR".into() }
}

#[test]
fn every_price_that_was_ever_recorded_can_be_read() {
    plugin().upcasts::<ProductEvent>(); // random events of every old version, through the component that ships
}
