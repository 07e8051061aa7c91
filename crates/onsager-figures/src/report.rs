//! `index.html`: one page that needs no other file.

use std::path::Path;

use crate::{Figure, FigureError};

pub(crate) fn write(_registry: &[&dyn Figure], _out: &Path) -> Result<(), FigureError> {
    Ok(())
}
