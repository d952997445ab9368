//! What a materialize will do to each node, decided before anything is written.
//!
//! A pure function of the tree, of what lies in the target and of the policy. Only
//! directories that both sides have are looked into, so a copy to a fresh place
//! costs one look however large the tree is.

use std::ops::Range;

use fuse_promise_core::attr::NodeKind;
use fuse_promise_core::failure::{Failure, Result};
use fuse_promise_core::ids::Row;
use fuse_promise_core::image::{ImageView, Node};
use fuse_promise_core::limits;
use fuse_promise_core::words::ConflictPolicy;

use super::target::{Directory, Present};

/// A directory of the target as planning sees it.
pub(crate) trait Existing: Sized {
    fn look(&self, name: &[u8]) -> Result<Present>;
    fn enter(&self, name: &[u8]) -> Result<Self>;
}

impl Existing for Directory {
    fn look(&self, name: &[u8]) -> Result<Present> {
        Directory::look(self, name)
    }

    fn enter(&self, name: &[u8]) -> Result<Self> {
        Directory::enter(self, name)
    }
}

/// What is done about one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    MakeDirectory,
    ReuseDirectory,
    CreateFile,
    ReplaceFile,
    /// The policy leaves what is there; nothing below it is done either.
    Skip,
    /// Something is in the way that no policy replaces.
    Refuse,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) row: Row,
    pub(crate) action: Action,
}

/// What is done about the source itself, and under which name. Known after a look
/// or two at the target, so that a call can be refused while its caller waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Root {
    /// Name of the copy's root in the target directory.
    pub(crate) name: Vec<u8>,
    row: Row,
    action: Action,
}

impl Root {
    /// Plans the copy of `source` to `target/name`.
    ///
    /// # Errors
    /// `AlreadyExists` under the policy fail when the name is taken; whatever looking
    /// at the target gives.
    pub(crate) fn plan<D: Existing>(
        source: &Node<'_>,
        name: &[u8],
        target: &D,
        policy: ConflictPolicy,
    ) -> Result<Self> {
        let mut present = target.look(name)?;
        let mut name = name.to_vec();
        match policy {
            ConflictPolicy::Fail if present != Present::Nothing => return Err(taken(&name)),
            ConflictPolicy::Rename if present != Present::Nothing => {
                name = free_name(&name, source.kind, target)?;
                present = Present::Nothing;
            }
            _ => {}
        }
        Ok(Self {
            name,
            row: source.row,
            action: decide(source, present, policy),
        })
    }

    /// The whole plan: this, and all that is below it, in an order in which each
    /// directory comes before what is in it.
    ///
    /// # Errors
    /// Whatever looking at the target gives, and what `go_on` says before each look.
    pub(crate) fn steps<D: Existing>(
        &self,
        view: &ImageView<'_>,
        target: &D,
        policy: ConflictPolicy,
        go_on: impl Fn() -> Result<()>,
    ) -> Result<Vec<Step>> {
        let mut steps = vec![Step {
            row: self.row,
            action: self.action,
        }];
        let mut open = Vec::new();
        if let Some(below) = below(target, &self.name, self.action)? {
            open.push((view.children(self.row), below));
        }
        walk(&mut steps, view, open, policy, go_on)?;
        Ok(steps)
    }
}

/// What lies below a directory that is being planned: nothing for a new one.
type Below<D> = Option<D>;

/// None for an action that has nothing below it.
fn below<D: Existing>(parent: &D, name: &[u8], action: Action) -> Result<Option<Below<D>>> {
    Ok(match action {
        Action::MakeDirectory => Some(None),
        Action::ReuseDirectory => Some(Some(parent.enter(name)?)),
        _ => None,
    })
}

/// Depth first, so that few directories are open at a time.
fn walk<D: Existing>(
    steps: &mut Vec<Step>,
    view: &ImageView<'_>,
    mut open: Vec<(Range<u32>, Below<D>)>,
    policy: ConflictPolicy,
    go_on: impl Fn() -> Result<()>,
) -> Result<()> {
    while let Some((children, existing)) = open.last_mut() {
        let Some(row) = children.next().map(Row) else {
            open.pop();
            continue;
        };
        let Some(node) = view.row(row) else { continue };
        let (action, inside) = match existing {
            None => {
                let action = decide(&node, Present::Nothing, policy);
                (action, (action == Action::MakeDirectory).then_some(None))
            }
            Some(directory) => {
                go_on()?;
                let action = decide(&node, directory.look(node.name)?, policy);
                (action, below(directory, node.name, action)?)
            }
        };
        steps.push(Step { row, action });
        if let Some(inside) = inside {
            open.push((view.children(row), inside));
        }
    }
    Ok(())
}

fn decide(node: &Node<'_>, present: Present, policy: ConflictPolicy) -> Action {
    let is_directory = node.kind == NodeKind::Directory;
    match present {
        Present::Nothing if is_directory => Action::MakeDirectory,
        Present::Nothing => Action::CreateFile,
        Present::Directory if is_directory => Action::ReuseDirectory,
        Present::File { mtime_nsec } if !is_directory => match policy {
            ConflictPolicy::Skip => Action::Skip,
            ConflictPolicy::Newer if mtime_nsec >= i128::from(node.attr.mtime_nsec) => Action::Skip,
            _ => Action::ReplaceFile,
        },
        // A file where a directory should be or the reverse, or neither.
        _ if policy == ConflictPolicy::Skip => Action::Skip,
        _ => Action::Refuse,
    }
}

/// The first of `name (1).ext`, `name (2).ext`, … that is free; a directory's name
/// has no extension.
fn free_name<D: Existing>(name: &[u8], kind: NodeKind, target: &D) -> Result<Vec<u8>> {
    for number in 1..=limits::RENAMES_MAX {
        let candidate = numbered(name, kind, number);
        if target.look(&candidate)? == Present::Nothing {
            return Ok(candidate);
        }
    }
    Err(Failure::already_exists(format!(
        "{:?} exists in the target, and so do the {} other names that were tried; choose another \
         target",
        String::from_utf8_lossy(name),
        limits::RENAMES_MAX
    )))
}

pub(crate) fn numbered(name: &[u8], kind: NodeKind, number: u32) -> Vec<u8> {
    let dot = name.iter().rposition(|byte| *byte == b'.');
    let (stem, extension) = match (kind, dot) {
        // A leading dot begins a hidden name, not an extension.
        (NodeKind::File, Some(dot)) if dot > 0 => name.split_at(dot),
        _ => (name, &b""[..]),
    };
    let suffix = format!(" ({number})");
    let room = limits::NAME_LEN_MAX - (suffix.len() + extension.len()).min(limits::NAME_LEN_MAX);
    [shortened(stem, room), suffix.as_bytes(), extension].concat()
}

/// At most `room` bytes, never cut within a UTF-8 character.
fn shortened(stem: &[u8], room: usize) -> &[u8] {
    let mut end = stem.len().min(room);
    while end < stem.len() && end > 0 && stem[end] & 0xc0 == 0x80 {
        end -= 1;
    }
    &stem[..end]
}

fn taken(name: &[u8]) -> Failure {
    Failure::already_exists(format!(
        "{:?} exists in the target; choose overwrite or rename, or another target",
        String::from_utf8_lossy(name)
    ))
}

#[cfg(test)]
mod tests;
