//! Where in an answer a value stands.

use std::sync::Arc;

use async_graphql::{Name, PathSegment};

/// Where in an answer a value stands. Paths share what they have in common.
#[derive(Debug, Clone)]
pub(super) struct Path(Option<Arc<Step>>);

#[derive(Debug)]
struct Step {
    before: Path,
    segment: Segment,
}

#[derive(Debug)]
enum Segment {
    Field(Name),
    Index(usize),
}

impl Path {
    /// The whole answer.
    pub(super) const fn root() -> Self {
        Self(None)
    }

    /// A field of what stands here.
    pub(super) fn field(&self, name: Name) -> Self {
        self.step(Segment::Field(name))
    }

    /// An item of the list that stands here.
    pub(super) fn index(&self, at: usize) -> Self {
        self.step(Segment::Index(at))
    }

    fn step(&self, segment: Segment) -> Self {
        Self(Some(Arc::new(Step { before: self.clone(), segment })))
    }

    /// The path as an error has it.
    pub(super) fn segments(&self) -> Vec<PathSegment> {
        let mut segments = Vec::new();
        let mut at = self;
        while let Some(step) = &at.0 {
            segments.push(match &step.segment {
                Segment::Field(name) => PathSegment::Field(name.to_string()),
                Segment::Index(index) => PathSegment::Index(*index),
            });
            at = &step.before;
        }
        segments.reverse();
        segments
    }
}
