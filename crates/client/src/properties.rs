//! Properties of one object, as the daemon told them all at once.

use std::collections::HashMap;
use std::path::PathBuf;

use fuse_promise_core::{Failure, Status};
use zbus::OwnedVariant;

pub(crate) struct Properties(pub(crate) HashMap<String, OwnedVariant>);

impl Properties {
    pub(crate) fn take<T: TryFrom<OwnedVariant>>(&mut self, name: &str) -> Result<T, Failure> {
        let value = self
            .0
            .remove(name)
            .and_then(|value| T::try_from(value).ok());
        value.ok_or_else(|| {
            Failure::new(
                Status::VersionMismatch,
                format!("fuse-promised does not tell its {name} as this library expects it"),
            )
        })
    }

    pub(crate) fn take_path(&mut self, name: &str) -> Result<PathBuf, Failure> {
        self.take::<String>(name).map(PathBuf::from)
    }
}
