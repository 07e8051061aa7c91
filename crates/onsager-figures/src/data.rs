//! Packaged data.
