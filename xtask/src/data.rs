//! `cargo xtask data`: the packaged data from the four files of Fashion-MNIST.

use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use flate2::read::GzDecoder;
use safetensors::Dtype;
use safetensors::tensor::{TensorView, serialize};
use sha2::{Digest, Sha256};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Folder with the four idx files of Fashion-MNIST, plain or gzipped; the Debian package
    /// dataset-fashion-mnist puts them into /usr/share/datasets/fashion-mnist
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
}

pub(crate) fn run(arguments: &Arguments, root: &Path) -> ExitCode {
    let target = root.join("crates/onsager-figures/data/fashion_mnist.safetensors");
    let written = build(&arguments.from).and_then(|bytes| {
        fs::write(&target, &bytes)
            .map(|()| bytes)
            .map_err(|error| error.to_string())
    });
    match written {
        Ok(bytes) => {
            println!(
                "{}  {} ({} bytes)",
                sha256(&bytes),
                target.display(),
                bytes.len()
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Pixels of an image.
const PIXELS: usize = 28 * 28;
/// The first images of the test set are packaged, ...
const FIRST: usize = 1000;
/// ... and these: the spikes of the figures in the literature.
const EXTRA: [usize; 3] = [2209, 6209, 8809];

fn build(folder: &Path) -> Result<Vec<u8>, String> {
    let test = idx(folder, "t10k-images-idx3-ubyte", PIXELS)?;
    let classes = idx(folder, "t10k-labels-idx1-ubyte", 1)?;
    let training = idx(folder, "train-images-idx3-ubyte", PIXELS)?;
    let numbers: Vec<usize> = (0..FIRST).chain(EXTRA).collect();
    let (mut images, mut labels, mut index) = (Vec::new(), Vec::new(), Vec::new());
    for number in numbers.iter().copied() {
        let image = test.chunks_exact(PIXELS).nth(number);
        let (Some(image), Some(class)) = (image, classes.get(number)) else {
            return Err(format!(
                "the test set must have an image and a label {number}"
            ));
        };
        images.extend_from_slice(image);
        labels.push(*class);
        index.extend_from_slice(&(number as i32).to_le_bytes());
    }
    let sigma: Vec<u8> = covariance(&training)?
        .iter()
        .flat_map(|value| (*value as f32).to_le_bytes())
        .collect();
    let count = numbers.len();
    let tensors = [
        ("images", Dtype::U8, vec![count, 28, 28], &images),
        ("labels", Dtype::U8, vec![count], &labels),
        ("index", Dtype::I32, vec![count], &index),
        ("sigma", Dtype::F32, vec![PIXELS, PIXELS], &sigma),
    ];
    let views = tensors
        .into_iter()
        .map(|(name, dtype, shape, bytes)| Ok((name, TensorView::new(dtype, shape, bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>();
    views
        .and_then(|views| serialize(views, None))
        .map_err(|error| error.to_string())
}

/// `XᵀX / N` over images that are each centred and scaled to squared norm 784, row-major.
///
/// Sums run over images in their order, four at a time, without fused operations: the same bytes on
/// every machine.
fn covariance(images: &[u8]) -> Result<Vec<f64>, String> {
    const TOGETHER: usize = 4;
    let mut sum = vec![0.0; PIXELS * PIXELS];
    let mut group = vec![vec![0.0; PIXELS]; TOGETHER];
    let count = images.len() / PIXELS;
    for first in (0..count).step_by(TOGETHER) {
        for (offset, spike) in group.iter_mut().enumerate() {
            spike.fill(0.0);
            if first + offset < count {
                let from = (first + offset) * PIXELS;
                normalise(&images[from..from + PIXELS], spike).ok_or_else(|| {
                    format!("training image {} has one grey only", first + offset)
                })?;
            }
        }
        let [a, b, c, d] = group.as_slice() else {
            unreachable!("four spikes")
        };
        for (i, row) in sum.chunks_exact_mut(PIXELS).enumerate() {
            let (ai, bi, ci, di) = (a[i], b[i], c[i], d[i]);
            for (j, entry) in row.iter_mut().enumerate().skip(i) {
                *entry += ai * a[j] + bi * b[j] + ci * c[j] + di * d[j];
            }
        }
    }
    for i in 0..PIXELS {
        for j in i..PIXELS {
            let value = sum[i * PIXELS + j] / count as f64;
            sum[i * PIXELS + j] = value;
            sum[j * PIXELS + i] = value;
        }
    }
    Ok(sum)
}

/// Subtracts the mean and scales to one for each pixel; none for an image without contrast.
fn normalise(image: &[u8], spike: &mut [f64]) -> Option<()> {
    let mean = image.iter().map(|&pixel| f64::from(pixel)).sum::<f64>() / PIXELS as f64;
    for (to, &pixel) in spike.iter_mut().zip(image) {
        *to = f64::from(pixel) - mean;
    }
    let deviation = (spike.iter().map(|x| x * x).sum::<f64>() / PIXELS as f64).sqrt();
    spike.iter_mut().for_each(|x| *x /= deviation);
    (deviation > 0.0).then_some(())
}

/// Items of an idx file of bytes, plain or with the ending .gz, each of `size` bytes.
fn idx(folder: &Path, name: &str, size: usize) -> Result<Vec<u8>, String> {
    let plain = folder.join(name);
    let zipped = folder.join(format!("{name}.gz"));
    let mut bytes = Vec::new();
    if plain.exists() {
        bytes = fs::read(&plain).map_err(|error| format!("{}: {error}", plain.display()))?;
    } else {
        fs::File::open(&zipped)
            .and_then(|file| GzDecoder::new(file).read_to_end(&mut bytes))
            .map_err(|error| format!("{}(.gz): {error}", plain.display()))?;
    }
    // Two zero bytes, the type (8: bytes), the number of dimensions, then each as a big-endian word.
    let dimensions = match bytes.get(..4) {
        Some([0, 0, 8, dimensions]) => usize::from(*dimensions),
        _ => return Err(format!("{}: not an idx file of bytes", plain.display())),
    };
    let start = 4 + 4 * dimensions;
    let lengths: Vec<usize> = bytes
        .get(4..start)
        .unwrap_or_default()
        .chunks_exact(4)
        .map(|word| {
            word.iter()
                .fold(0, |length, &byte| length << 8 | usize::from(byte))
        })
        .collect();
    let item: usize = lengths.iter().skip(1).product();
    let total: usize = lengths.iter().product();
    if lengths.is_empty() || item != size || bytes.len() != start + total {
        return Err(format!(
            "{}: must hold items of {size} bytes, got dimensions {lengths:?} in {} bytes",
            plain.display(),
            bytes.len()
        ));
    }
    Ok(bytes.split_off(start))
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idx_files_are_checked() {
        let folder = std::env::temp_dir().join(format!("onsager-idx-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let write = |bytes: &[u8]| fs::write(folder.join("x"), bytes).expect("a file");
        let two = [0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6];
        write(&two);
        assert_eq!(idx(&folder, "x", 3), Ok(vec![1, 2, 3, 4, 5, 6]));
        assert!(
            idx(&folder, "x", 2).is_err(),
            "the size of an item is wrong"
        );
        assert!(idx(&folder, "missing", 3).is_err());
        for broken in [
            &two[..17],
            &two[..7],
            &[0, 0, 13, 1, 0, 0, 0, 0],
            &[0, 0, 8, 0],
        ] {
            write(broken);
            assert!(idx(&folder, "x", 3).is_err(), "{broken:?}");
        }
        fs::remove_dir_all(&folder).expect("a removed folder");
    }

    #[test]
    fn spikes_are_centred_and_scaled() {
        let mut spike = vec![0.0; PIXELS];
        assert_eq!(normalise(&[7; PIXELS], &mut spike), None);
        let image: Vec<u8> = (0..PIXELS).map(|pixel| (pixel % 251) as u8).collect();
        normalise(&image, &mut spike).expect("an image with contrast");
        let (sum, square) = spike
            .iter()
            .fold((0.0, 0.0), |(s, q), x| (s + x, q + x * x));
        // Rounding of 784 terms of order one.
        assert!(sum.abs() < 1e-12 * 784.0 && (square - 784.0).abs() < 1e-12 * 784.0);
        // Three equal images of one direction: the group is not full, and the trace is 784.
        let sigma = covariance(&image.repeat(3)).expect("a covariance");
        let trace: f64 = (0..PIXELS).map(|i| sigma[i * (PIXELS + 1)]).sum();
        assert!((trace - 784.0).abs() < 1e-12 * 784.0);
        assert!((sigma[5] - spike[0] * spike[5]).abs() < 1e-12);
    }
}
