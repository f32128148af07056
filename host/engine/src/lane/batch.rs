//! Groups that gather for the next transaction.

use super::{Group, Size};

/// What has come by now, as much of it as one transaction holds.
pub(super) struct Batch {
    groups: Vec<Group>,
    size: Size,
    most: Size,
    /// The group that did not fit any more. It begins the next batch, and while it waits no other is taken in.
    next: Option<Group>,
}

impl Batch {
    /// An empty one, for transactions of a size.
    pub(super) const fn new(most: Size) -> Self {
        Self { groups: Vec::new(), size: Size::NOTHING, most, next: None }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Whether it takes in no more.
    pub(super) const fn is_full(&self) -> bool {
        self.next.is_some()
    }

    pub(super) const fn len(&self) -> usize {
        self.groups.len() + if self.is_full() { 1 } else { 0 }
    }

    /// Takes in a group. One that is larger than a transaction goes alone.
    pub(super) fn add(&mut self, group: Group) {
        let larger = self.size + group.appends.iter().map(Size::of).sum::<Size>();
        if !self.groups.is_empty() && larger.is_over(self.most) {
            self.next = Some(group);
        } else {
            self.size = larger;
            self.groups.push(group);
        }
    }

    /// Lets go of what has gathered.
    pub(super) fn take(&mut self) -> Vec<Group> {
        self.size = Size::NOTHING;
        let groups = std::mem::take(&mut self.groups);
        if let Some(next) = self.next.take() {
            self.add(next);
        }
        groups
    }
}
