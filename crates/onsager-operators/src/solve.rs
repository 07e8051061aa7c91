//! Linear systems by conjugate gradients.

use crate::operator::{check_square, check_vector};
use crate::{LinearOperator, OperatorError};

/// Solution of `A x = b`, `A` symmetric positive definite, by conjugate gradients.
///
/// Stops where `|b - A x| <= tolerance |b|` by recurrence, or where rounding lets the residual fall
/// no further: after as many steps as there are equations, twice. One product a step.
///
/// - **Accuracy**: the error is at most the residual over the least eigenvalue.
/// - **Errors**: shapes that disagree, [`OperatorError::NotPositive`] for a direction in which `A`
///   is not positive.
/// - **Source**: Hestenes and Stiefel (1952).
///
/// ```
/// use onsager_operators::solve::conjugate_gradients;
/// use onsager_operators::{Dense, Shape};
/// let a = Dense::new(Shape::square(2), vec![2.0, 1.0, 1.0, 3.0])?;
/// let x = conjugate_gradients(&a, &[3.0, 4.0], 1e-14)?;
/// assert!((x[0] - 1.0).abs() < 1e-14 && (x[1] - 1.0).abs() < 1e-14);
/// # Ok::<(), onsager_operators::OperatorError>(())
/// ```
pub fn conjugate_gradients(
    a: &dyn LinearOperator,
    b: &[f64],
    tolerance: f64,
) -> Result<Vec<f64>, OperatorError> {
    let size = check_square("operator", a.shape())?;
    check_vector("right side", size, b)?;
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    let (mut x, mut rest, mut along) = (vec![0.0; size], b.to_vec(), b.to_vec());
    let mut image = vec![0.0; size];
    let mut square = dot(b, b);
    let enough = tolerance * tolerance * square;
    for _ in 0..2 * size {
        if square <= enough {
            break;
        }
        a.apply_column(&along, &mut image);
        let curvature = dot(&along, &image);
        if curvature.is_nan() || curvature <= 0.0 {
            let cosine = curvature / (dot(&along, &along) * dot(&image, &image)).sqrt();
            return Err(OperatorError::NotPositive { cosine });
        }
        let step = square / curvature;
        for (i, direction) in along.iter().enumerate() {
            x[i] += step * direction;
            rest[i] -= step * image[i];
        }
        let next = dot(&rest, &rest);
        let keep = next / square;
        along
            .iter_mut()
            .zip(&rest)
            .for_each(|(p, r)| *p = r + keep * *p);
        square = next;
    }
    Ok(x)
}
