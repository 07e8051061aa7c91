//! Real data that travels with the crate: images of Fashion-MNIST and their covariance.
//!
//! The file `data/fashion_mnist.safetensors` is built by `cargo xtask data` from the four files of the
//! data set (MIT, Zalando SE); `data/README.md` tells its content and its recipe.

use safetensors::{Dtype, SafeTensors};

use crate::FigureError;

/// Side of an image.
pub const SIDE: usize = 28;
/// Pixels of an image, row by row.
pub const PIXELS: usize = SIDE * SIDE;

/// SHA-256 of the packaged file.
pub const FASHION_MNIST_SHA256: &str =
    "8d5be4648f3363deccc6033cb3c9f08902ec643548e371444cde26b7a38c5299";

const FASHION_MNIST: &[u8] = include_bytes!("../data/fashion_mnist.safetensors");

/// Test images of Fashion-MNIST and the covariance of its training images.
#[derive(Debug, Clone, PartialEq)]
pub struct FashionMnist {
    images: Vec<u8>,
    labels: Vec<u8>,
    index: Vec<i32>,
    covariance: Vec<f64>,
}

/// The packaged images: the first 1000 of the test set, then 2209, 6209 and 8809.
///
/// # Errors
///
/// [`FigureError::Data`] if the packaged file is not what it should be.
///
/// # Examples
///
/// ```
/// let data = onsager_figures::data::fashion_mnist()?;
/// // The first test image is an ankle boot, class 9.
/// assert_eq!((data.len(), data.label(0)), (1003, Some(9)));
/// // A spike has mean 0 and squared norm 784.
/// let spike = data.spike(0).unwrap();
/// let square: f64 = spike.iter().map(|x| x * x).sum();
/// assert!((square - 784.0).abs() < 1e-9);
/// # Ok::<(), onsager_figures::FigureError>(())
/// ```
pub fn fashion_mnist() -> Result<FashionMnist, FigureError> {
    let file = SafeTensors::deserialize(FASHION_MNIST).map_err(bad)?;
    let tensor = |name: &str, dtype: Dtype| {
        let tensor = file.tensor(name).map_err(bad)?;
        if tensor.dtype() == dtype {
            Ok(tensor.data())
        } else {
            Err(bad(format!(
                "tensor {name} must be {dtype:?}, got {:?}",
                tensor.dtype()
            )))
        }
    };
    let (words, _) = tensor("index", Dtype::I32)?.as_chunks::<4>();
    let (numbers, _) = tensor("sigma", Dtype::F32)?.as_chunks::<4>();
    let data = FashionMnist {
        images: tensor("images", Dtype::U8)?.to_vec(),
        labels: tensor("labels", Dtype::U8)?.to_vec(),
        index: words.iter().map(|word| i32::from_le_bytes(*word)).collect(),
        covariance: numbers
            .iter()
            .map(|number| f64::from(f32::from_le_bytes(*number)))
            .collect(),
    };
    let count = data.labels.len();
    let sizes = (data.images.len(), data.index.len(), data.covariance.len());
    let expected = (count * PIXELS, count, PIXELS * PIXELS);
    if sizes == expected {
        Ok(data)
    } else {
        Err(bad(format!(
            "sizes of images, index and sigma must be {expected:?}, got {sizes:?}"
        )))
    }
}

fn bad(reason: impl ToString) -> FigureError {
    FigureError::Data {
        name: "fashion_mnist.safetensors",
        reason: reason.to_string(),
    }
}

impl FashionMnist {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Pixels of an image, 0 for the background to 255, row by row.
    pub fn image(&self, number: usize) -> Option<&[u8]> {
        self.images.chunks_exact(PIXELS).nth(number)
    }

    /// Class of an image, 0 to 9.
    pub fn label(&self, number: usize) -> Option<u8> {
        self.labels.get(number).copied()
    }

    /// Number of the image that stands at this position of the full test set.
    pub fn number_of(&self, position: usize) -> Option<usize> {
        self.index
            .iter()
            .position(|&index| usize::try_from(index) == Ok(position))
    }

    /// The image as a spike: minus its own mean, then scaled to squared norm 784, one for each pixel.
    pub fn spike(&self, number: usize) -> Option<Vec<f64>> {
        let image = self.image(number)?;
        let mean = image.iter().map(|&pixel| f64::from(pixel)).sum::<f64>() / PIXELS as f64;
        let centred: Vec<f64> = image.iter().map(|&pixel| f64::from(pixel) - mean).collect();
        let variance = centred.iter().map(|x| x * x).sum::<f64>() / PIXELS as f64;
        // An image of one grey has no direction.
        (variance > 0.0).then(|| centred.iter().map(|x| x / variance.sqrt()).collect())
    }

    /// Second moment `XᵀX / 60000` of the training images, each made a spike as in
    /// [`FashionMnist::spike`]: symmetric, 784 × 784, trace 784, singular (its rows sum to 0).
    pub fn covariance(&self) -> &[f64] {
        &self.covariance
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn the_packaged_file_is_the_documented_one() {
        let hash = crate::runner::hex(&Sha256::digest(FASHION_MNIST));
        assert_eq!(hash, FASHION_MNIST_SHA256);
        assert!(include_str!("../data/README.md").contains(FASHION_MNIST_SHA256));
    }

    #[test]
    fn images_and_covariance_have_their_known_sums() {
        let data = fashion_mnist().expect("packaged data");
        let sum: u64 = data
            .image(0)
            .expect("an image")
            .iter()
            .map(|&pixel| u64::from(pixel))
            .sum();
        assert_eq!((sum, data.label(0)), (33456, Some(9)));
        let extra = [2209, 6209, 8809].map(|position| data.number_of(position));
        assert_eq!(extra, [Some(1000), Some(1001), Some(1002)]);
        assert_eq!((data.image(1003), data.number_of(5000)), (None, None));

        let sigma = data.covariance();
        let trace: f64 = (0..PIXELS).map(|i| sigma[i * (PIXELS + 1)]).sum();
        // Each of 784 numbers is rounded to 24 bits: the sum errs by at most 784 · 2^-24 / 2 · 784/784 · mean 1.
        assert!(
            (trace - 784.0).abs() <= 784.0 * 2f64.powi(-24),
            "trace {trace}"
        );
        for (i, row) in sigma.chunks_exact(PIXELS).enumerate() {
            assert!(
                (0..i).all(|j| row[j] == sigma[j * PIXELS + i]),
                "row {i} is not symmetric"
            );
            let (sum, size): (f64, f64) = row
                .iter()
                .fold((0.0, 0.0), |(s, a), x| (s + x, a + x.abs()));
            assert!(sum.abs() <= size * 2f64.powi(-24), "row {i} sums to {sum}");
        }
    }
}
