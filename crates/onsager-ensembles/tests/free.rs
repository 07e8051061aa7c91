//! Laws built by free convolution, and noise seen through them, against second routes.

use std::f64::consts::{FRAC_2_PI, PI};

use nalgebra::DMatrix;
use onsager_ensembles::{
    Complex64, Composed, Empirical, MarchenkoPastur, Preconditioned, Semicircle, Spectrum,
};
use onsager_scalar::roots::bracketed_root;

fn close(found: f64, expected: f64, tolerance: f64, what: &str) {
    assert!(
        (found - expected).abs() <= tolerance,
        "{what}: {found} is not {expected} up to {tolerance:e}"
    );
}

/// The covariance of centred layers `(aspect, κ²)` of unit second moment.
fn layers(layers: &[(f64, f64)]) -> Composed {
    let start = Composed::point(1.0).unwrap();
    layers.iter().fold(start, |law, (aspect, gain)| {
        let law = law.wishart(*aspect).unwrap();
        law.affine(1.0 - gain, *gain).unwrap()
    })
}

const SIGN: f64 = FRAC_2_PI;

#[test]
fn densities_and_edges_are_those_of_the_polynomial() {
    let half = 0.5;
    let chains: [(&str, Vec<(f64, f64)>); 7] = [
        ("two", vec![(half, 1.0), (2.0, 1.0)]),
        ("wide", vec![(0.1, 1.0), (0.3, 1.0)]),
        ("tall", vec![(2.0, 1.0), (3.0, 1.0)]),
        ("sign", vec![(8.0, SIGN)]),
        ("sign, sign", vec![(4.0, SIGN), (0.05, SIGN)]),
        ("split", vec![(1000.0, SIGN), (0.05, 1.0)]),
        ("three", vec![(2.0, SIGN), (1.5, 1.0), (half, SIGN)]),
    ];
    let table = include_str!("reference/composed.csv");
    let mut compared = 0;
    for (name, chain) in chains {
        let law = layers(&chain);
        let intervals = &law.support().intervals;
        let edges: Vec<f64> = intervals.iter().flat_map(|(a, b)| [*a, *b]).collect();
        let prefix = format!("\"{name}\",");
        let rows = table.lines().filter_map(|line| line.strip_prefix(&prefix));
        let rows: Vec<Vec<&str>> = rows.map(|row| row.split(',').collect()).collect();
        let known: Vec<f64> = (rows.iter().filter(|row| row[0] == "edge"))
            .map(|row| row[1].parse().unwrap())
            .collect();
        assert_eq!(known.len(), edges.len(), "{name}: {known:?} and {edges:?}");
        for (found, known) in edges.iter().zip(&known) {
            close(*found, *known, 1e-13 * known, name);
        }
        for row in rows.iter().filter(|row| row[0] == "density") {
            let [x, density] = [1, 2].map(|i| row[i].parse::<f64>().unwrap());
            close(law.density(x) / density, 1.0, 1e-11, name);
            compared += 1;
        }
    }
    assert_eq!(compared, 40);
}

/// Products of `n` square matrices: with `t = sinⁿ⁺¹((n+1)φ)/(sin φ sinⁿ(nφ))` the density is
/// `sin²φ sinⁿ⁻¹(nφ)/(π sinⁿ((n+1)φ))`, and `E tᵏ = C((n+1)k, k)/(nk + 1)`.
#[test]
fn products_of_square_matrices_are_fuss_catalan() {
    for n in 1..=4 {
        let law = (0..n).fold(Composed::point(1.0).unwrap(), |law, _| {
            law.wishart(1.0).unwrap()
        });
        let m = f64::from(n);
        let edge = (m + 1.0).powf(m + 1.0) / m.powf(m);
        assert_eq!(law.support().intervals.len(), 1);
        assert_eq!(law.support().lower(), 0.0);
        close(law.support().upper(), edge, 1e-14 * edge, "upper edge");
        for x in [1e-3, 0.2, 0.5, 0.9, 0.999] {
            // From the upper edge, where φ = 0, to the hard edge.
            let phi = x * PI / (m + 1.0);
            let sine = |j: f64| (j * phi).sin();
            let t = sine(m + 1.0).powi(n + 1) / (sine(1.0) * sine(m).powi(n));
            let density = sine(1.0).powi(2) * sine(m).powi(n - 1) / (PI * sine(m + 1.0).powi(n));
            close(law.density(t) / density, 1.0, 1e-9, "density");
        }
        let mut catalan = 1.0;
        for k in 1..=6 {
            // C((n+1)k, k)/(nk + 1) = Π_j (nk + j)/j, j = 2 .. k.
            let (k, mut product) = (f64::from(k), 1.0);
            for j in 2..=(k as i32) {
                product *= (m * k + f64::from(j)) / f64::from(j);
            }
            close(law.moment(k as u32) / product, 1.0, 1e-14, "moment");
            catalan = product;
        }
        let found = law.average(&|t| t.powi(6)).unwrap();
        close(
            found.value / catalan,
            1.0,
            1e-12,
            "sixth moment by quadrature",
        );
        close(law.average(&|_| 1.0).unwrap().value, 1.0, 1e-12, "mass");
    }
}

#[test]
fn one_step_is_the_law_that_is_known_in_closed_form() {
    for aspect in [0.01, 0.4, 1.0, 3.0, 50.0] {
        let (law, known) = (
            layers(&[(aspect, 1.0)]),
            MarchenkoPastur::rows(aspect).unwrap(),
        );
        let (support, expected) = (law.support(), known.support());
        for (found, exact) in [
            (support.intervals[0].0, expected.intervals[0].0),
            (support.intervals[0].1, expected.intervals[0].1),
        ] {
            close(found, exact, 1e-14 * support.upper(), "edge");
        }
        assert_eq!(support.atoms.len(), expected.atoms.len());
        for z in [
            Complex64::new(0.7, 0.3),
            Complex64::new(-2.0, 0.0),
            Complex64::new(1e5, -1.0),
            Complex64::new(1.1 * support.upper(), 0.0),
        ] {
            let (s, exact) = (law.stieltjes(z), known.stieltjes(z));
            let error = (s / exact - 1.0).norm_sqr().sqrt();
            close(error, 0.0, 1e-12, "stieltjes");
        }
        let inside = 0.5 * (support.intervals[0].0 + support.intervals[0].1);
        close(law.density(inside), known.density(inside), 1e-13, "density");
        // Above a point mass at c, a semicircle.
        let noisy = Composed::point(2.0).unwrap().semicircle(aspect).unwrap();
        let known = Semicircle::new(aspect).unwrap();
        close(noisy.density(2.3), known.density(0.3), 1e-13, "semicircle");
        close(
            noisy.support().upper(),
            2.0 + 2.0 * aspect.sqrt(),
            1e-13,
            "its edge",
        );
    }
}

/// The S-transform of a product is the product of S-transforms: no resolvent equation is used.
#[test]
fn products_multiply_s_transforms() {
    let aspects = [0.5, 3.0, 1.2];
    let law = layers(&aspects.map(|a| (a, 1.0)));
    for gamma in [-0.01, 0.1, 1.0, 30.0] {
        // Rows of the product: x of W K Wᵀ is that of the smaller matrices by their ranks.
        let eta = law.eta(gamma).unwrap();
        let mut x = eta - 1.0;
        let mut product = gamma * eta / (1.0 - eta);
        for aspect in aspects.iter().rev() {
            let factor = MarchenkoPastur::columns(*aspect).unwrap();
            // k (1 - η) is the same for W K Wᵀ and its companion of k rows, x' = a x.
            product *= (1.0 + aspect * x) / (aspect * (1.0 + x));
            x *= aspect;
            product /= factor.s_transform(x).unwrap();
        }
        // What is left is the S-transform of the point mass.
        close(product, 1.0, 1e-12, "S-transform");
    }
}

#[test]
fn moments_follow_from_cumulants_and_from_the_density() {
    let cases = [
        layers(&[(2.0, SIGN), (0.7, SIGN)]),
        layers(&[(4.0, SIGN), (1.0, SIGN), (2.0, SIGN)]),
        layers(&[(3.0, 1.0)]).semicircle(0.4).unwrap(),
        Composed::given(&Empirical::new(vec![0.0, 1.0, 1.0, 7.0]).unwrap())
            .unwrap()
            .wishart(1.7)
            .unwrap(),
    ];
    for law in &cases {
        for k in 0..=6 {
            let found = law.average(&|t| t.powi(k)).unwrap();
            let (exact, size) = (law.moment(k as u32), law.moment(2 * (k as u32 / 2)));
            close(found.value, exact, 1e-11 * (exact.abs() + size), "moment");
        }
    }
    // M_l = ρ² + a κ⁴ M_{l-1}: the mean square, by hand.
    let two = 1.0 + 0.7 * SIGN * SIGN * (1.0 + 2.0 * SIGN * SIGN);
    close(cases[0].moment(2), two, 1e-14, "mean square");
    // E t³ of W K Wᵀ/k: m_3 + 3 a m_1 m_2 + a² ... by counting non-crossing partitions.
    let (a, m) = (1.7, [1.0, 9.0 / 4.0, 51.0 / 4.0, 345.0 / 4.0]);
    let third = a * a * m[3] + 3.0 * a * m[1] * m[2] + m[1] * m[1] * m[1];
    close(cases[3].moment(3), third, 1e-12 * third, "third moment");
}

#[test]
fn levels_are_averages_of_every_law_on_the_way() {
    let law = layers(&[(2.0, SIGN), (0.7, 0.5)]);
    let levels = law.turning(&|at| 0.3 - at.second).unwrap();
    let inner = layers(&[(2.0, SIGN)]);
    for (law, at) in [(&law, levels[4]), (&inner, levels[2])] {
        let average = |f: &dyn Fn(f64) -> f64| law.average(f).unwrap().value;
        close(average(&|t| 1.0 / (1.0 + t * at.tau)), at.eta, 1e-13, "η");
        close(
            average(&|t| t / (1.0 + t * at.tau)),
            at.first,
            1e-13,
            "E t/(1 + tτ)",
        );
        close(
            average(&|t| t * t / (1.0 + t * at.tau)),
            at.second,
            1e-12,
            "E t²/(1 + tτ)",
        );
    }
    close(levels[4].second, 0.3, 1e-14, "the condition");
    // Above E t² nothing is below.
    assert!(law.turning(&|at| 10.0 - at.second).is_none());
}

/// One linear layer, seen from the latent side: the law of `Wᵀ(ξ/√(pΔ) - 1/Δ)W/k` solves
/// `z = -1/g + α J(g)`, `J = ∫ t/(1 + gt)` over a semicircle. Its nonzero part is that of the rows.
#[test]
fn noise_through_a_linear_layer_is_the_law_of_the_small_matrix() {
    for (alpha, noise) in [(2.0, 0.3), (2.0, 2.9), (0.5, 1.0), (0.5, 4.0), (6.0, 3.0)] {
        let law = Preconditioned::wigner(layers(&[(alpha, 1.0)]), noise, 1.0).unwrap();
        let semicircle = Semicircle::new(1.0 / noise).unwrap();
        // ∫ t/(1 + gt) = (1 - h)/g, h = ∫ 1/(1 + gt), t = x - 1/Δ.
        let pole = |g: Complex64| -(g.inv() - 1.0 / noise);
        let h = |g: Complex64| semicircle.stieltjes(pole(g)) / g;
        let z = |g: Complex64| -g.inv() + (Complex64::from(1.0) - h(g)) / g * alpha;
        // The upper edge: z' = 0 between the pole of the semicircle's upper end and 0.
        let top = 2.0 / noise.sqrt() - 1.0 / noise;
        let low = if top > 0.0 { -1.0 / top } else { -1e9 };
        let slope = |g: f64| {
            let step = 1e-30;
            // The derivative by an imaginary step: no difference is taken.
            z(Complex64::new(g, step * g.abs())).im / (step * g.abs()) * g * g
        };
        if let Ok(root) = bracketed_root(slope, low * (1.0 - 1e-9), -1e-9, 1e-15) {
            let edge = z(root.x.into()).re;
            let found = law.support().intervals.last().unwrap().1;
            close(found, edge, 1e-10 * (1.0 + edge.abs()), "upper edge");
        } else {
            panic!("no edge for alpha = {alpha}, noise = {noise}");
        }
        // The density: the equation holds for g = the transform of the k x k law, whose mass
        // differs from that of the p x p law by zeros.
        for &(a, b) in &law.support().intervals {
            for x in [0.01, 0.3, 0.6, 0.99] {
                let t = a + (b - a) * x;
                let s = law.stieltjes(t.into());
                // p s + p/z = k g + k/z.
                let g = (s + 1.0 / t) * alpha - 1.0 / t;
                let error = (z(g) - t).norm_sqr().sqrt() / (1.0 + t.abs());
                close(error, 0.0, 1e-11, "equation of the small matrix");
                assert!(g.im > 0.0);
            }
        }
    }
}

/// Plain iteration of `g = -E t/(x + tσ(g))` over the closed Marchenko-Pastur law, for Wigner and
/// Wishart noise: nothing but the equation is shared.
#[test]
fn noise_through_a_sign_layer_solves_its_equation() {
    let alpha = 3.0;
    let marchenko_pastur = MarchenkoPastur::rows(alpha).unwrap();
    let covariance = || layers(&[(alpha, SIGN)]);
    let eigenvalue = |t: f64| Complex64::from(1.0 - SIGN + SIGN * t);
    let average = |f: &dyn Fn(Complex64) -> Complex64| {
        let part = |g: &dyn Fn(Complex64) -> f64| {
            let found = marchenko_pastur.average(&|t| g(f(eigenvalue(t))));
            found.unwrap().value
        };
        Complex64::new(part(&|z| z.re), part(&|z| z.im))
    };
    for (noise, beta) in [(0.6, None), (3.0, None), (0.8, Some(2.5))] {
        let law = match beta {
            None => Preconditioned::wigner(covariance(), noise, 1.0),
            Some(beta) => Preconditioned::wishart(covariance(), noise, beta, 1.0),
        };
        let law = law.unwrap();
        let sigma = |g: Complex64| match beta {
            None => (g + 1.0) / noise,
            Some(beta) => Complex64::from(beta / noise) - (g + (noise + 1.0)).inv() * beta,
        };
        for &(a, b) in &law.support().intervals {
            let x = a + 0.4 * (b - a);
            let map = |g: Complex64| {
                let s = sigma(g);
                -average(&|t| t / (t * s + x))
            };
            let mut g = Complex64::new(0.0, 1.0);
            for _ in 0..400 {
                // Averaging turns a rotation about the solution into a contraction.
                let next = (map(g) + g) * 0.5;
                let moved = (next - g).norm_sqr();
                g = next;
                if moved < 1e-30 {
                    break;
                }
            }
            let s = sigma(g);
            let m = -average(&|t| (t * s + x).inv());
            close(law.density(x), m.im / PI, 1e-10, "density");
        }
        // Edges: where E t²/(x + tσ)² dσ/dg = 1, with σ from the equation outside.
        let x = law.support().intervals.last().unwrap().1;
        let at = |x: f64| -> f64 {
            let miss = |g: f64| {
                let s = sigma(g.into());
                (average(&|t| t / (t * s + x)).re + g).abs()
            };
            let [one, other] = candidates(&law, x, noise, beta);
            let g = if miss(one) < miss(other) { one } else { other };
            assert!(miss(g) < 1e-7, "g = {g} solves its equation");
            let s = sigma(g.into()).re;
            let slope = match beta {
                None => 1.0 / noise,
                Some(beta) => beta / (noise + 1.0 + g).powi(2),
            };
            average(&|t| (t / (t * s + x)).powi(2)).re * slope - 1.0
        };
        // The excess closes as the square root of the distance.
        let (near, far) = (at(x + 1e-8), at(x + 4e-8));
        close(far / near, 2.0, 0.01, "edge");
    }
}

/// Noise between a sign layer on the right and another on the left: densities solve the equation of
/// the transform, with averages over Marchenko-Pastur laws by quadrature; free cumulants
/// `β E dⁿ`, `d = u/(Δ + ρu)`, give the moments; at `Δ² = β E t² E u²` the edge is at 1.
#[test]
fn noise_between_two_layers_solves_its_equation() {
    let (alpha, omega, beta) = (3.0, 1.5, 0.8);
    let parts = [alpha, omega].map(|a| MarchenkoPastur::rows(a).unwrap());
    let average = |side: usize, f: &dyn Fn(f64) -> Complex64| {
        let part = |g: &dyn Fn(Complex64) -> f64| {
            let found = parts[side].average(&|t| g(f(1.0 - SIGN + SIGN * t)));
            found.unwrap().value
        };
        Complex64::new(part(&|z| z.re), part(&|z| z.im))
    };
    let law = |noise| {
        let (right, left) = (layers(&[(alpha, SIGN)]), layers(&[(omega, SIGN)]));
        Preconditioned::product(right, left, (1.0, 1.0), noise, beta).unwrap()
    };
    for noise in [0.4, 2.0] {
        let law = law(noise);
        let sigma = |g: Complex64| {
            let known = average(1, &|u| ((g + 1.0) * u + noise).inv() * u);
            (Complex64::from(1.0 / noise) - known) * beta
        };
        for &(a, b) in &law.support().intervals {
            let x = a + 0.4 * (b - a);
            let mut g = Complex64::new(0.0, 1.0);
            for _ in 0..400 {
                let s = sigma(g);
                let next = (g - average(0, &|t| (s * t + x).inv() * t)) * 0.5;
                let moved = (next - g).norm_sqr();
                g = next;
                if moved < 1e-30 {
                    break;
                }
            }
            let s = sigma(g);
            let m = -average(0, &|t| (s * t + x).inv());
            close(law.density(x), m.im / PI, 1e-10, "density");
        }
        if noise < 1.0 {
            continue;
        }
        // In the angle of an interval the density is smooth: midpoints converge geometrically,
        // slowly where a gap is a hundredth of the interval, as here.
        let moment = |power: i32| -> f64 {
            let on = |&(a, b): &(f64, f64)| -> f64 {
                let part = |i: u32| {
                    let (sin, cos) = ((f64::from(i) + 0.5) * PI / 320.0).sin_cos();
                    let x = 0.5 * (a + b) + 0.5 * (b - a) * cos;
                    law.density(x) * x.powi(power) * sin
                };
                (0..320).map(part).sum::<f64>() * 0.5 * (b - a) * PI / 320.0
            };
            law.support().intervals.iter().map(on).sum()
        };
        close(moment(0), 1.0, 1e-9, "mass");
        let d = |n: i32| average(1, &|u| Complex64::from((u / (noise + u)).powi(n))).re;
        let (k1, k2) = (beta * (d(1) - 1.0 / noise), beta * d(2));
        let second = layers(&[(alpha, SIGN)]).moment(2);
        close(moment(1), k1, 1e-9, "mean");
        close(moment(2), k1 * k1 * second + k2, 1e-8, "second");
    }
    let square = |a| layers(&[(a, SIGN)]).moment(2);
    let threshold = (beta * square(alpha) * square(omega)).sqrt();
    for (factor, touches) in [(0.5, false), (1.0, true), (2.0, false)] {
        let edge = law(factor * threshold).support().upper();
        if touches {
            close(edge, 1.0, 1e-12, "edge at the threshold");
        } else {
            assert!(edge < 0.97, "{factor}: {edge}");
        }
    }
}

/// Without structure on the left the law is the one of independent rows, at a scale of them.
#[test]
fn a_plain_left_factor_is_a_change_of_the_noise() {
    let covariance = || layers(&[(2.0, SIGN), (0.7, SIGN)]);
    for (noise, beta, scale) in [(0.3, 0.4, 1.0), (1.1, 2.5, 2.0)] {
        let plain = Preconditioned::wishart(covariance(), noise / scale, beta, 1.3).unwrap();
        let left = Composed::point(scale).unwrap();
        let found = Preconditioned::product(covariance(), left, (1.3, scale), noise, beta).unwrap();
        let (one, other) = (plain.support(), found.support());
        assert_eq!(one.intervals.len(), other.intervals.len());
        for (a, b) in one.intervals.iter().zip(&other.intervals) {
            close(b.0, a.0, 1e-12 * a.0.abs(), "lower edge");
            close(b.1, a.1, 1e-12 * a.0.abs(), "upper edge");
            let x = a.0 + 0.3 * (a.1 - a.0);
            close(found.density(x), plain.density(x), 1e-11, "density");
        }
        assert_eq!(one.atoms.len(), other.atoms.len());
    }
}

/// Two values of which one is `g` off the support, from the transform of the law:
/// `m = -E 1/(x + σt)` gives `1 + x m = -σ g`, a quadratic equation for `g`.
fn candidates(law: &Preconditioned, x: f64, noise: f64, beta: Option<f64>) -> [f64; 2] {
    let rest = 1.0 + x * law.stieltjes(x.into()).re;
    let d = noise + 1.0;
    let [a, b, c] = match beta {
        None => [1.0, 1.0, noise * rest],
        Some(beta) => [beta / noise, beta / noise + rest, rest * d],
    };
    let root = (b * b - 4.0 * a * c).sqrt();
    [(-b - root) / (2.0 * a), (-b + root) / (2.0 * a)]
}

#[test]
fn moments_of_noise_through_a_covariance_are_those_of_free_variables() {
    let law = layers(&[(2.0, SIGN), (0.7, 0.5)]);
    let m: Vec<f64> = (0..4).map(|k| law.moment(k)).collect();
    let (d, rho) = (0.8, 1.3);
    let wigner = Preconditioned::wigner(law.clone(), d, rho).unwrap();
    close(wigner.moment(1), -rho / d * m[1], 1e-12, "mean");
    let second = rho * rho / (d * d) * m[2] + m[1] * m[1] / d;
    close(wigner.moment(2), second, 1e-11, "second");
    let third = -(rho / d).powi(3) * m[3] - 3.0 * rho / (d * d) * m[1] * m[2];
    close(wigner.moment(3), third, 1e-10, "third");
    // Wishart: the noise has free cumulants β/(Δ + ρ)ⁿ, the first less β/Δ.
    let beta = 0.6;
    let wishart = Preconditioned::wishart(law, d, beta, rho).unwrap();
    let (k1, k2) = (beta / (d + rho) - beta / d, beta / (d + rho).powi(2));
    close(wishart.moment(1), k1 * m[1], 1e-12, "mean");
    close(
        wishart.moment(2),
        k1 * k1 * m[2] + k2 * m[1] * m[1],
        1e-11,
        "second",
    );
    close(wishart.average(&|_| 1.0).unwrap().value, 1.0, 1e-12, "mass");
}

#[test]
fn atoms_of_free_products_have_the_masses_of_dimensions() {
    // Rank k/p of the covariance; rank β of the noise, in the directions of equal eigenvalue.
    let law = Preconditioned::wishart(layers(&[(4.0, SIGN)]), 0.5, 0.3, 1.0).unwrap();
    let atom = law.support().atoms[0];
    close(atom.mass, 0.75 - 0.3, 1e-14, "mass");
    close(atom.location, -(1.0 - SIGN) * 0.3 / 0.5, 1e-14, "location");
    let law = Preconditioned::wigner(layers(&[(4.0, 1.0)]), 0.5, 1.0).unwrap();
    assert_eq!(
        (law.support().atoms[0].location, law.support().atoms[0].mass),
        (0.0, 0.75)
    );
}

/// At the threshold the edge is at 1, below and above it is not.
#[test]
fn the_edge_touches_one_at_the_threshold() {
    let law = layers(&[(2.0, SIGN), (0.7, SIGN)]);
    let (wigner, wishart) = (law.moment(2), (2.5 * law.moment(2)).sqrt());
    for factor in [0.5, 1.0, 2.0] {
        let a = Preconditioned::wigner(law.clone(), factor * wigner, 1.0).unwrap();
        let b = Preconditioned::wishart(law.clone(), factor * wishart, 2.5, 1.0).unwrap();
        for edge in [a.support().upper(), b.support().upper()] {
            if factor == 1.0 {
                close(edge, 1.0, 1e-12, "edge at the threshold");
            } else {
                assert!(edge < 0.97, "{factor}: {edge}");
            }
        }
    }
}

/// Eigenvalues of matrices: a rough check that knows of no equation.
#[test]
fn matrices_have_these_laws() {
    let mut state = 1u64;
    // Sums of four uniforms, of unit variance: only two moments matter.
    let mut draw = || {
        let sum: f64 = (0..4)
            .map(|_| {
                state = state
                    .wrapping_mul(6364136223846793005)
                    .wrapping_add(1442695040888963407);
                (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5
            })
            .sum();
        sum * 3f64.sqrt()
    };
    let (k, h, p) = (60, 120, 180);
    let mut matrix = |rows, columns| DMatrix::from_fn(rows, columns, |_, _| draw());
    let (w1, w2) = (matrix(h, k), matrix(p, h));
    let layer = |w: &DMatrix<f64>, below: DMatrix<f64>| {
        let n = w.ncols() as f64;
        w * below * w.transpose() * (SIGN / n)
            + DMatrix::identity(w.nrows(), w.nrows()) * (1.0 - SIGN)
    };
    let covariance = layer(&w2, layer(&w1, DMatrix::identity(k, k)));
    let rows = (0.5 * p as f64) as usize;
    let w3 = matrix(rows, 60);
    let left = layer(&w3, DMatrix::identity(60, 60));
    let root = {
        let eigen = covariance.clone().symmetric_eigen();
        let scaled = DMatrix::from_diagonal(&eigen.eigenvalues.map(f64::sqrt));
        &eigen.eigenvectors * scaled * eigen.eigenvectors.transpose()
    };
    let law = layers(&[(2.0, SIGN), (1.5, SIGN)]);
    let (noise, beta) = (1.2, 0.5);
    let square = matrix(p, p);
    let symmetric = (&square + square.transpose()) / 2f64.sqrt();
    let wide = matrix((beta * p as f64) as usize, p);
    let identity = DMatrix::<f64>::identity(p, p);
    let wigner = symmetric * (noise / p as f64).sqrt() / noise - &identity / noise;
    let wishart =
        wide.transpose() * &wide / (p as f64 * (noise + 1.0)) - &identity * (beta / noise);
    let filter = &left
        * (&left + DMatrix::identity(rows, rows) * noise)
            .try_inverse()
            .unwrap();
    let between = wide.transpose() * filter * &wide / p as f64 - &identity * (beta / noise);
    {
        let aside = layers(&[(1.5, SIGN)]);
        let law = Preconditioned::product(law.clone(), aside, (1.0, 1.0), noise, beta).unwrap();
        let measured = (&root * between * &root).symmetric_eigenvalues();
        let (lower, upper) = (law.support().lower(), law.support().upper());
        let width = upper - lower;
        close(measured.min(), lower, 0.12 * width, "lower edge");
        close(measured.max(), upper, 0.12 * width, "upper edge");
        for x in [0.1, 0.4, 0.7, 1.0] {
            let z = Complex64::new(lower + x * width, 0.1 * width);
            let trace: Complex64 = measured.iter().map(|e| (-z + *e).inv()).sum();
            let difference = trace / p as f64 - law.stieltjes(z);
            // A trace fluctuates by 1/p, in units of the height squared.
            let size = difference.norm_sqr().sqrt() * 0.1 * width;
            close(size, 0.0, 8.0 / p as f64, "resolvent");
        }
    }
    let cases: [(DMatrix<f64>, Box<dyn Spectrum>); 3] = [
        (covariance, Box::new(law.clone())),
        (
            &root * wigner * &root,
            Box::new(Preconditioned::wigner(law.clone(), noise, 1.0).unwrap()),
        ),
        (
            &root * wishart * &root,
            Box::new(Preconditioned::wishart(law, noise, beta, 1.0).unwrap()),
        ),
    ];
    for (matrix, law) in cases {
        let measured = matrix.symmetric_eigenvalues();
        let (lower, upper) = (law.support().lower(), law.support().upper());
        // Edges move by a few p^(-2/3) of the width, 0.03 each.
        let width = upper - lower;
        close(measured.min(), lower, 0.12 * width, "lower edge");
        close(measured.max(), upper, 0.12 * width, "upper edge");
        for x in [0.1, 0.3, 0.6, 0.9] {
            let t = lower + x * width;
            let below = measured.iter().filter(|e| **e < t).count() as f64 / p as f64;
            let mass = law
                .average(&|e| if e < t { 1.0 } else { 0.0 })
                .unwrap()
                .value;
            // Counting functions of so rigid spectra differ by a few eigenvalues.
            close(below, mass, 8.0 / p as f64, "counting function");
        }
    }
}

#[test]
fn what_is_not_a_law_is_refused() {
    let start = || Composed::point(1.0).unwrap();
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(Composed::point(bad).is_err());
        assert!(start().wishart(bad).is_err());
        assert!(start().affine(0.0, bad).is_err());
        assert!(start().semicircle(bad).is_err());
        assert!(Preconditioned::wigner(start(), bad, 1.0).is_err());
        assert!(Preconditioned::wigner(start(), 1.0, bad).is_err());
        assert!(Preconditioned::wishart(start(), 1.0, bad, 1.0).is_err());
    }
    assert!(start().affine(f64::NAN, 1.0).is_err());
    assert!(Composed::given(&Empirical::new(vec![0.0, 0.0]).unwrap()).is_err());
    let negative = start().semicircle(1.0).unwrap();
    let error = Preconditioned::wigner(negative, 1.0, 1.0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "least eigenvalue must be finite and not negative, got -1"
    );
}
