//! The guest's side of the contract, as wit-bindgen generates it. Nothing of it is seen by authors.
//!
//! Each interface that a plugin may export has a small world of its own here, and `plugin!` exports those that the
//! plugin has something to say to. wit-component merges their types into one component, so a plugin without queries
//! does not pretend to answer any. All worlds share the types and imports of the first that uses them.

/// `manifest`: what every plugin exports.
pub mod manifest {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package yado:sdk; world describes { import yado:domain/log@0.1.0; export yado:domain/manifest@0.1.0; }",
        world: "yado:sdk/describes",
        pub_export_macro: true,
        export_macro_name: "export_manifest",
        default_bindings_module: "yado_sdk::__private::bindings::manifest",
        generate_all,
    });
}

/// `aggregates`: for plugins that decide.
pub mod aggregates {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package yado:sdk; world decides { export yado:domain/aggregates@0.1.0; }",
        world: "yado:sdk/decides",
        pub_export_macro: true,
        export_macro_name: "export_aggregates",
        default_bindings_module: "yado_sdk::__private::bindings::aggregates",
        with: { "yado:domain/types@0.1.0": crate::bindings::manifest::yado::domain::types },
    });
}

/// `projections`: for plugins that keep read models.
pub mod projections {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package yado:sdk; world projects { import yado:domain/read-model@0.1.0; export yado:domain/projections@0.1.0; }",
        world: "yado:sdk/projects",
        pub_export_macro: true,
        export_macro_name: "export_projections",
        default_bindings_module: "yado_sdk::__private::bindings::projections",
        with: {
            "yado:domain/types@0.1.0": crate::bindings::manifest::yado::domain::types,
            "yado:domain/read-model@0.1.0": generate,
        },
    });
}

/// `queries`: for plugins that answer named queries.
pub mod queries {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package yado:sdk; world answers { import yado:domain/read-model@0.1.0; export yado:domain/queries@0.1.0; }",
        world: "yado:sdk/answers",
        pub_export_macro: true,
        export_macro_name: "export_queries",
        default_bindings_module: "yado_sdk::__private::bindings::queries",
        with: {
            "yado:domain/types@0.1.0": crate::bindings::manifest::yado::domain::types,
            "yado:domain/read-model@0.1.0": crate::bindings::projections::yado::domain::read_model,
        },
    });
}

pub use manifest::yado::domain::{log, types};
pub use projections::yado::domain::read_model;
