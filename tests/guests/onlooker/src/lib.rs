//! A plugin that declares a query of what another one shows: the categories of the catalog.

use yado_sdk::prelude::*;

/// Something that the plugin itself keeps, because every plugin has something of its own.
#[derive(State)]
pub struct Glance;

/// What can be done with it.
#[derive(Command)]
pub enum GlanceCommand {
    /// Looks at something.
    #[command(creates)]
    TakeGlance {},
}

/// What can happen to it.
#[derive(Event)]
pub enum GlanceEvent {
    /// Something was looked at.
    GlanceTaken {},
}

impl Aggregate for Glance {
    type Command = GlanceCommand;
    type Event = GlanceEvent;

    fn decide(_: Option<&Self>, _: GlanceCommand, _: &Context) -> Decision<GlanceEvent> {
        record(GlanceEvent::GlanceTaken {})
    }

    fn evolve(_: Option<Self>, _: GlanceEvent) -> Option<Self> {
        Some(Self)
    }
}

/// Kept by the catalog.
#[derive(Foreign)]
#[foreign(name = "Category")]
pub struct Category;

/// A category as the catalog shows it. The plugin keeps none of these: it is not among its models.
#[derive(ReadModel)]
pub struct CategoryRow {
    #[key]
    id: Id<Category>,
    name: String,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// The catalog's categories of this name.
#[derive(Query)]
#[query(of = CategoryRow, list)]
pub struct CategoriesNamed {
    /// Which name.
    #[filter(name)]
    name: String,
}

plugin! { name: "onlooker", aggregates: [Glance], queries: [CategoriesNamed] }
