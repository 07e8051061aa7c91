use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

/// A law or function of the user's own: it runs everywhere and refuses to be written to a file,
/// by name.
///
/// Two are equal when they are the same object.
///
/// ```
/// use std::sync::Arc;
/// use onsager_model::{Law, Model};
/// use onsager_scalar::prior::Gaussian;
///
/// let law = Law::custom(Arc::new(Gaussian::new(0.5, 2.0)?));
/// let model = Model::builder().prior(law).denoising(1.0)?;
/// assert_eq!(model.tree()?.signal().second_moment, 2.25);
/// assert!(model.to_toml().unwrap_err().to_string().contains("cannot be written"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Custom<T: ?Sized>(pub Arc<T>);

impl<T: ?Sized> Clone for Custom<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: ?Sized> PartialEq for Custom<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Custom<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: ?Sized + fmt::Debug> Serialize for Custom<T> {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom(format!(
            "the custom law {self:?} cannot be written to a file"
        )))
    }
}
