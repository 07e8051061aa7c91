#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]

#[doc(inline)]
pub use onsager_amp as amp;
#[doc(inline)]
pub use onsager_ensembles as ensembles;
#[doc(inline)]
pub use onsager_lattice as lattice;
#[doc(inline)]
pub use onsager_model as model;
#[doc(inline)]
pub use onsager_operators as operators;
#[doc(inline)]
pub use onsager_replica as replica;
#[doc(inline)]
pub use onsager_scalar as scalar;

#[cfg(feature = "conformance")]
pub mod conformance;
