//! Categories.

use yado_sdk::prelude::*;

use crate::ProductRow;
use CategoryCommand::{CreateCategory, DeleteCategory, UpdateCategory};
use CategoryEvent::{CategoryCreated, CategoryDeleted, CategoryRenamed};

/// A shelf that products stand on.
#[derive(State)]
pub struct Category {
    name: String,
}

/// What can be asked of a category.
#[derive(Command)]
pub enum CategoryCommand {
    /// Opens a category.
    #[command(creates, returns = CategoryRow)]
    CreateCategory {
        /// What it is called.
        #[schema(length(1..=100))]
        name: String,
    },
    /// Gives a category another name.
    #[command(returns = CategoryRow)]
    UpdateCategory {
        /// Which category.
        id: Id<Category>,
        /// What it is called from now on.
        #[schema(length(1..=100))]
        name: String,
    },
    /// Closes a category. Products in it stay, and lead nowhere.
    DeleteCategory {
        /// Which category.
        id: Id<Category>,
    },
}

/// What can happen to a category.
#[derive(Event)]
pub enum CategoryEvent {
    /// It was opened.
    CategoryCreated { name: String },
    /// It got another name.
    CategoryRenamed { name: String },
    /// It was closed.
    CategoryDeleted,
}

impl Aggregate for Category {
    type Command = CategoryCommand;
    type Event = CategoryEvent;

    fn decide(category: Option<&Self>, command: CategoryCommand, _: &Context) -> Decision<CategoryEvent> {
        match (category, command) {
            (None, CreateCategory { name }) => record(CategoryCreated { name }),
            (Some(_), CreateCategory { .. }) => reject("category_exists", "The category exists already."),
            (None, _) => reject("category_deleted", "The category has been deleted."),
            (Some(now), UpdateCategory { name, .. }) => record((name != now.name).then_some(CategoryRenamed { name })),
            (Some(_), DeleteCategory { .. }) => record(CategoryDeleted),
        }
    }

    fn evolve(_: Option<Self>, event: CategoryEvent) -> Option<Self> {
        match event {
            CategoryCreated { name } | CategoryRenamed { name } => Some(Self { name }),
            CategoryDeleted => None,
        }
    }
}

/// A category as shops show it.
#[derive(ReadModel)]
#[model(plural = "categories")]
#[relation(many = ProductRow, field = category_id, as = "products")]
pub struct CategoryRow {
    /// Names the category.
    #[key]
    pub id: Id<Category>,
    /// What it is called.
    #[search]
    #[index]
    #[schema(length(1..=200))]
    pub name: String,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Projection for CategoryRow {
    type Event = Recorded<CategoryEvent>;

    fn project(recorded: &Recorded<CategoryEvent>, rows: &mut Rows<Self>) {
        let id = recorded.id();
        match &recorded.event {
            CategoryCreated { name } => {
                rows.put(Self { id, name: name.clone(), created_at: recorded.at, updated_at: recorded.at });
            }
            CategoryRenamed { name } => rows.patch(&id, |row| [row.name.to(name), row.updated_at.to(recorded.at)]),
            CategoryDeleted => rows.delete(&id),
        }
    }
}

#[cfg(test)]
mod tests {
    use yado_sdk::test_kit::{at, plugin as catalog};

    use super::*;

    fn desk() -> Id<Category> {
        Id::new("desk")
    }

    fn created() -> CategoryEvent {
        CategoryCreated { name: "Desk".into() }
    }

    fn rename(name: &str) -> CategoryCommand {
        UpdateCategory { id: desk(), name: name.into() }
    }

    #[test]
    fn a_category_is_renamed_once() {
        let given = || catalog().given(&desk(), [created()]);
        given().when(rename("Office")).then([CategoryRenamed { name: "Office".into() }]);
        given().when(rename("Desk")).then_nothing();
    }

    #[test]
    fn a_deleted_category_cannot_be_renamed() {
        catalog().given(&desk(), [created(), CategoryDeleted]).when(rename("Office")).then_rejected("category_deleted");
    }

    #[test]
    fn a_category_has_a_name() {
        catalog().when(CreateCategory { name: String::new() }).then_invalid("/name", "must not be empty");
    }

    #[test]
    fn shops_show_a_category_under_its_last_name() {
        let row = |name: &str, updated| CategoryRow {
            id: desk(),
            name: name.into(),
            created_at: at(1),
            updated_at: at(updated),
        };
        let given = catalog().given(&desk(), [created()]).then_rows([row("Desk", 1)]);
        let renamed = given.when(rename("Office")).then_rows([row("Office", 2)]);
        renamed.when(DeleteCategory { id: desk() }).then_rows::<CategoryRow>([]);
    }
}
