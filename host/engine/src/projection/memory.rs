//! Rows in memory: what a projection has made of them since it last looked into its tables.
//!
//! Rows lie in layers. `gathered` is what has been written since the last commit was begun, `flying` is what that commit
//! writes, and beneath them is what the tables hold, kept so that a row which changes often need not be read again. A row
//! is looked for from the top down.
//!
//! What is kept is right for as long as nobody else writes to the tables. The checkpoint tells: whoever else does moves it,
//! and then no commit from here succeeds, and everything in here is forgotten. For the same reason everything is forgotten
//! when a commit fails, because nobody knows then what the tables hold.
//!
//! A tenant's rows are in maps of their own, and are found by nobody who does not name the tenant.

use std::ops::AddAssign;
use std::sync::Arc;

use hashbrown::HashMap;
use yado_model::TenantId;
use yado_store::Changed;

use super::journal::Gathered;
use super::row::Text;
use super::unique::Strokes;

/// What a row takes beside its key and its text.
const OVERHEAD: usize = 96;

/// The rows of one read model and one tenant, by their keys. None is a row that is not there.
pub(super) type Rows = HashMap<Box<str>, Option<Text>>;

/// The rows of one tenant, by the places of their read models.
type Shelf = Vec<Rows>;

/// How much there is of rows. A row that has become shorter still counts as it was, so that the sum never falls below what
/// is there.
#[derive(Debug, Default, Clone, Copy)]
struct Size {
    rows: usize,
    bytes: usize,
}

/// Rows of all tenants.
#[derive(Debug, Default)]
pub(super) struct Layer {
    tenants: HashMap<TenantId, Shelf>,
    size: Size,
}

/// Rows in memory.
#[derive(Debug, Default)]
pub(super) struct Memory {
    models: usize,
    gathered: Layer,
    /// What is told of the rows that have been written since the last commit was begun.
    told: Gathered,
    /// What those rows have taken and released of what is unique.
    strokes: Strokes,
    flying: Option<Arc<Layer>>,
    /// What the tables hold: rows that were asked for lately.
    young: Layer,
    /// What the tables hold: rows that were asked for before. They go when there are enough young ones in their place.
    old: Layer,
    /// How much of what the tables hold is kept.
    room: usize,
}

/// The rows of one tenant, taken out of memory for the length of a call.
pub(super) struct OfTenant {
    gathered: Shelf,
    flying: Option<Arc<Layer>>,
    young: Shelf,
    old: Shelf,
    /// By how much the layers have grown.
    gathered_growth: Size,
    young_growth: Size,
    tenant: TenantId,
}

impl Memory {
    /// For rows of so many read models. Of what the tables hold, at most so many bytes are kept.
    pub(super) fn new(models: usize, room: usize) -> Self {
        Self { models, room, ..Self::default() }
    }

    /// Keeps more from now on, or less.
    pub(super) const fn set_room(&mut self, bytes: usize) {
        self.room = bytes;
    }

    /// Takes out what belongs to a tenant.
    pub(super) fn take(&mut self, tenant: &TenantId) -> OfTenant {
        let models = self.models;
        let shelf = |layer: &mut Layer| {
            let mut shelf = layer.tenants.remove(tenant).unwrap_or_default();
            shelf.resize_with(models, Rows::new);
            shelf
        };
        OfTenant {
            gathered: shelf(&mut self.gathered),
            flying: self.flying.clone(),
            young: shelf(&mut self.young),
            old: shelf(&mut self.old),
            gathered_growth: Size::default(),
            young_growth: Size::default(),
            tenant: tenant.clone(),
        }
    }

    /// Puts back what was taken out.
    pub(super) fn put(&mut self, rows: OfTenant) {
        let OfTenant { gathered, young, old, gathered_growth, young_growth, tenant, .. } = rows;
        for (layer, shelf) in [(&mut self.gathered, gathered), (&mut self.young, young), (&mut self.old, old)] {
            if shelf.iter().any(|rows| !rows.is_empty()) {
                layer.tenants.insert(tenant.clone(), shelf);
            }
        }
        self.gathered.size += gathered_growth;
        self.young.size += young_growth;
        self.make_room();
    }

    /// Bytes that have been written since the last commit was begun.
    pub(super) const fn gathered_bytes(&self) -> usize {
        self.gathered.size.bytes + self.told.bytes() + self.strokes.bytes()
    }

    /// Rows that have been written since the last commit was begun.
    pub(super) const fn gathered_rows(&self) -> usize {
        self.gathered.size.rows
    }

    /// Whether anything has been written since the last commit was begun.
    pub(super) fn has_gathered(&self) -> bool {
        !self.gathered.tenants.is_empty()
    }

    /// Takes in what is told of rows that have been written.
    pub(super) fn tell(&mut self, changes: Vec<Arc<Changed>>) {
        self.told.add(changes);
    }

    /// What is told of the rows that go on their way.
    pub(super) fn told(&mut self) -> Vec<Arc<Changed>> {
        self.told.take()
    }

    /// Takes in what has been taken and released of what is unique.
    pub(super) fn strike(&mut self, strokes: Strokes) {
        self.strokes.append(strokes);
    }

    /// What the rows that go on their way have taken and released of what is unique.
    pub(super) fn strokes(&mut self) -> Strokes {
        self.strokes.take()
    }

    /// What was gathered goes on its way.
    pub(super) fn fly(&mut self) -> Arc<Layer> {
        let flying = Arc::new(std::mem::take(&mut self.gathered));
        self.flying = Some(flying.clone());
        flying
    }

    /// What was on its way is in the tables now.
    pub(super) fn landed(&mut self) {
        let Some(flying) = self.flying.take() else { return };
        match Arc::try_unwrap(flying) {
            Ok(layer) => self.keep(layer),
            // Somebody is still looking at it. It is no more than what is kept that is lost; but older rows may lie
            // beneath, and they must go as well.
            Err(_) => (self.young, self.old) = (Layer::default(), Layer::default()),
        }
        self.make_room();
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.models, self.room);
    }

    fn keep(&mut self, layer: Layer) {
        for (tenant, shelf) in layer.tenants {
            let young = self.young.tenants.entry(tenant).or_default();
            young.resize_with(self.models, Rows::new);
            for (young, rows) in young.iter_mut().zip(shelf) {
                for (key, row) in rows {
                    let (key_bytes, bytes) = (key.len(), length(&row));
                    self.young.size += Size::grown(key_bytes, bytes, young.insert(key, row));
                }
            }
        }
    }

    /// When the young rows take half of the room, the old ones go and the young ones are old.
    fn make_room(&mut self) {
        if self.young.size.bytes > self.room / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        if self.old.size.bytes > self.room {
            self.old = Layer::default();
        }
    }
}

impl Layer {
    /// All rows of a read model, with their tenants.
    pub(super) fn rows(&self, model: usize) -> impl Iterator<Item = (&TenantId, &str, Option<&Text>)> {
        self.tenants.iter().flat_map(move |(tenant, shelf)| {
            shelf.get(model).into_iter().flatten().map(move |(key, row)| (tenant, key.as_ref(), row.as_ref()))
        })
    }

    /// How many of them there are.
    pub(super) fn len(&self, model: usize) -> usize {
        self.tenants.values().filter_map(|shelf| shelf.get(model)).map(Rows::len).sum()
    }

    fn find(&self, tenant: &TenantId, model: usize, key: &str) -> Option<&Option<Text>> {
        self.tenants.get(tenant)?.get(model)?.get(key)
    }
}

impl OfTenant {
    /// Whether a row need not be looked for in its table. It counts as asked for.
    pub(super) fn knows(&mut self, model: usize, key: &str) -> bool {
        let within = |shelf: &Shelf| shelf.get(model).is_some_and(|rows| rows.contains_key(key));
        within(&self.gathered)
            || self.flying.as_ref().is_some_and(|layer| layer.find(&self.tenant, model, key).is_some())
            || within(&self.young)
            || self.make_young(model, key).is_some()
    }

    /// A row, or that there is none; nothing, if it has to be looked for in its table.
    pub(super) fn find(&mut self, model: usize, key: &str) -> Option<Option<Text>> {
        if let Some(row) = self.gathered.get(model).and_then(|rows| rows.get(key)) {
            return Some(row.clone());
        }
        if let Some(row) = self.flying.as_ref().and_then(|layer| layer.find(&self.tenant, model, key)) {
            return Some(row.clone());
        }
        if let Some(row) = self.young.get(model).and_then(|rows| rows.get(key)) {
            return Some(row.clone());
        }
        self.make_young(model, key)
    }

    /// An old row, which is young again from now on. It is counted among the old ones until they go.
    fn make_young(&mut self, model: usize, key: &str) -> Option<Option<Text>> {
        let row = self.old.get_mut(model)?.remove(key)?;
        self.found(model, key, row.clone());
        Some(row)
    }

    /// Takes in what a table holds.
    pub(super) fn found(&mut self, model: usize, key: &str, row: Option<Text>) {
        if let Some(rows) = self.young.get_mut(model) {
            self.young_growth += put(rows, key, row);
        }
    }

    /// Takes in what has been written.
    pub(super) fn write(&mut self, model: usize, key: &str, row: Option<Text>) {
        if let Some(rows) = self.gathered.get_mut(model) {
            self.gathered_growth += put(rows, key, row);
        }
    }

    /// Whether anything has been written that is not in the tables yet.
    pub(super) fn is_ahead(&self) -> bool {
        self.flying.is_some() || self.gathered.iter().any(|rows| !rows.is_empty())
    }
}

impl Size {
    /// By how much rows grow with one of so many bytes, in the place of another or in none.
    fn grown(key: usize, bytes: usize, before: Option<Option<Text>>) -> Self {
        match before {
            Some(before) => Self { rows: 0, bytes: bytes.saturating_sub(length(&before)) },
            None => Self { rows: 1, bytes: key + bytes + OVERHEAD },
        }
    }
}

impl AddAssign for Size {
    fn add_assign(&mut self, other: Self) {
        self.rows += other.rows;
        self.bytes += other.bytes;
    }
}

fn length(row: &Option<Text>) -> usize {
    row.as_ref().map_or(0, |row| row.len())
}

/// Puts a row in its place, and tells by how much that has grown.
fn put(rows: &mut Rows, key: &str, row: Option<Text>) -> Size {
    let bytes = length(&row);
    // Most rows of a catch-up are there already, and then the key is not copied.
    let before = match rows.get_mut(key) {
        Some(place) => Some(std::mem::replace(place, row)),
        None => rows.insert(key.into(), row),
    };
    Size::grown(key.len(), bytes, before)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> TenantId {
        TenantId::parse(name).unwrap()
    }

    fn write(memory: &mut Memory, of: &str, key: &str, row: Option<&str>) {
        let mut rows = memory.take(&tenant(of));
        rows.write(0, key, row.map(Into::into));
        memory.put(rows);
    }

    fn find(memory: &mut Memory, of: &str, key: &str) -> Option<Option<String>> {
        let mut rows = memory.take(&tenant(of));
        let found = rows.find(0, key).map(|row| row.map(|row| row.to_string()));
        memory.put(rows);
        found
    }

    fn some(row: &str) -> Option<Option<String>> {
        Some(Some(row.into()))
    }

    #[test]
    fn the_latest_of_a_row_is_found_wherever_it_lies() {
        let mut memory = Memory::new(1, 1 << 20);
        assert_eq!(find(&mut memory, "a", "x"), None);
        write(&mut memory, "a", "x", Some("1"));
        drop(memory.fly());
        assert_eq!(find(&mut memory, "a", "x"), some("1"));
        write(&mut memory, "a", "x", Some("2"));
        assert_eq!(find(&mut memory, "a", "x"), some("2"));
        memory.landed();
        assert_eq!(find(&mut memory, "a", "x"), some("2"));
        drop(memory.fly());
        memory.landed();
        assert_eq!(find(&mut memory, "a", "x"), some("2"));
        write(&mut memory, "a", "x", None);
        assert_eq!(find(&mut memory, "a", "x"), Some(None));
        memory.clear();
        assert_eq!(find(&mut memory, "a", "x"), None);
    }

    #[test]
    fn a_tenants_rows_are_its_own_in_every_layer() {
        let mut memory = Memory::new(1, 1 << 20);
        for _ in 0..3 {
            assert_eq!(find(&mut memory, "b", "x"), None);
            write(&mut memory, "a", "x", Some("1"));
            assert_eq!(find(&mut memory, "b", "x"), None);
            drop(memory.fly());
            assert_eq!(find(&mut memory, "b", "x"), None);
            memory.landed();
        }
    }

    #[test]
    fn what_is_asked_for_stays_and_the_rest_makes_room() {
        let room = 40 * (OVERHEAD + 4);
        let mut memory = Memory::new(1, room);
        for number in 0..1_000 {
            write(&mut memory, "a", &format!("{number:03}"), Some("1"));
            drop(memory.fly());
            memory.landed();
            assert_eq!(find(&mut memory, "a", "000"), some("1"));
            assert!(memory.young.size.bytes + memory.old.size.bytes <= 2 * room);
        }
        assert_eq!(find(&mut memory, "a", "500"), None);
        assert_eq!(find(&mut memory, "a", "999"), some("1"));
    }

    #[test]
    fn what_is_not_in_the_tables_yet_never_makes_room() {
        let mut memory = Memory::new(1, 0);
        write(&mut memory, "a", "x", Some("1"));
        drop(memory.fly());
        write(&mut memory, "a", "y", Some("1"));
        assert_eq!(find(&mut memory, "a", "x"), some("1"));
        assert_eq!(find(&mut memory, "a", "y"), some("1"));
        assert!(memory.has_gathered() && memory.gathered_bytes() > 0);
    }
}
