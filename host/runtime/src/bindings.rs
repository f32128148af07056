//! The contract in Rust, made from `wit/` by wasmtime.
//!
//! Which interfaces a component exports is found out interface by interface (`GuestIndices::new`), not world by world, so
//! a world here is no more than a group of interfaces whose types are made in the same way. Those that are called all
//! the time borrow what the host passes in: an argument is copied once, into the guest's memory. wasmtime can't make
//! borrowed types of the nested results in `sagas`, so sagas and effects own theirs.

// Generated items are `pub` throughout; this crate decides what leaves it.
#![allow(unreachable_pub, missing_docs, clippy::all)]

pub(crate) mod domain {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package yado:host;
            world borrowing {
                include yado:domain/aggregate-plugin@0.1.0;
                include yado:domain/projection-plugin@0.1.0;
                include yado:domain/query-plugin@0.1.0;
            }
        ",
        world: "yado:host/borrowing",
        ownership: Borrowing { duplicate_if_necessary: true },
        imports: { default: trappable },
    });
}

pub(crate) mod saga {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "yado:domain/saga-plugin",
        imports: { default: trappable },
        with: { "yado:domain/log": super::domain::yado::domain::log },
    });
}

pub(crate) mod effect {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "yado:domain/effect-plugin",
        imports: { default: trappable },
        with: { "yado:domain/log": super::domain::yado::domain::log },
    });
}
