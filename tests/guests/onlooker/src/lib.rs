//! A plugin of nothing but a declared query of what another one shows: the categories of the catalog.

use yado_sdk::prelude::*;

/// A category as the catalog shows it, as far as it matters here.
#[derive(ReadModel)]
#[model(foreign)]
pub struct CategoryRow {
    #[key]
    id: String,
    name: String,
}

/// The catalog's categories of this name.
#[derive(Query)]
#[query(of = CategoryRow, list)]
pub struct CategoriesNamed {
    /// Which name.
    #[filter(name)]
    name: String,
}

plugin! { name: "onlooker", queries: [CategoriesNamed] }

#[cfg(test)]
mod tests {
    use yado_sdk::test_kit::plugin as onlooker;

    use super::*;

    fn category(id: &str, name: &str) -> CategoryRow {
        CategoryRow { id: id.into(), name: name.into() }
    }

    #[test]
    fn rows_of_another_plugin_are_found_by_what_is_known_of_them() {
        let given = onlooker().given_rows([category("b", "Ink"), category("a", "Ink"), category("c", "Pens")]);
        let ask = |name: &str| CategoriesNamed { name: name.into() };
        let given = given.ask(ask("Ink")).then_answer(&vec![category("a", "Ink"), category("b", "Ink")]);
        given.ask(ask("Paper")).then_answer(&vec![]);
    }
}
