//! One declaration, from the file to a small simulation.

use onsager_amp::{Outcome, Problem, Settings, Stop, infer};
use onsager_ensembles::Seed;
use onsager_model::{FactorKind, Instance, Model, ModelError, Teacher, Tree};
use onsager_replica::{FixedPoint, ReplicaError, StateEvolution};
use onsager_scalar::conformance::{Failure, Report};

/// The simulation behind a check.
///
/// ```
/// use onsager::conformance::Trial;
/// assert_eq!(Trial::default().size, 100);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trial {
    /// Components of the signal.
    pub size: usize,
    /// Sweeps at most.
    pub sweeps: usize,
    /// Decides every random number.
    pub seed: u64,
    /// Whether fixed points are found a second time, on a curve traced over another range. It
    /// doubles the work of a prediction.
    pub twice: bool,
}

impl Default for Trial {
    fn default() -> Self {
        Self {
            size: 100,
            sweeps: 30,
            seed: 0,
            twice: true,
        }
    }
}

/// Relative accuracy of predictions; they claim 1e-8 in the noise.
const TOLERANCE: f64 = 1e-6;

/// Runs every check of a declaration with a small simulation; see [`check_model_with`].
///
/// # Errors
/// Every identity that is broken.
pub fn check_model(model: &Model) -> Result<Report, Failure> {
    check_model_with(model, Trial::default())
}

/// Runs every check of a declaration.
///
/// | | |
/// | --- | --- |
/// | file | TOML and JSON read back to an equal model; laws of your own are refused by name |
/// | prediction | finite; `0 <= q <= E x²` and `q + mmse = E x²` for every variable; fixed points in order; the optimal one has the largest potential among the stable ones |
/// | gradient | along every branch the information changes with the noise as the fixed overlap says (I-MMSE), which it does where the gradient of the potential vanishes and nowhere else |
/// | claimed error | a curve traced over another range has the same points, within what both claim |
/// | simulation | finite; the error reported is that of the estimate returned; status, residual, sweeps and trace tell one story |
///
/// A declaration that no engine handles must be refused with "not supported yet"; nothing else is
/// then asked of it.
///
/// # Errors
/// Every identity that is broken.
pub fn check_model_with(model: &Model, trial: Trial) -> Result<Report, Failure> {
    let name = model.name.clone();
    let subject = name.unwrap_or_else(|| match model.to_toml() {
        Ok(text) => text.replace('\n', " "),
        Err(_) => "a model with laws of its own".to_string(),
    });
    let mut report = Report::new(format_args!("{subject}"), trial.seed);
    file(&mut report, model);
    match model.tree() {
        Ok(tree) => {
            prediction(&mut report, &tree, trial.twice);
            simulation(&mut report, &tree, trial);
        }
        Err(error) => {
            let honest = matches!(error, ModelError::NotSupported { .. });
            report.holds("refused as not supported yet", || error.to_string(), honest);
        }
    }
    report.verdict()
}

fn file(report: &mut Report, model: &Model) {
    let name = "a file reads back to an equal model";
    match model.to_toml() {
        Ok(text) => {
            let read = Model::parse(&text, "written");
            let equal = read.as_ref() == Ok(model);
            let at = || read.err().map_or("TOML".into(), |e| e.to_string());
            report.holds(name, at, equal);
            let json = serde_json::to_string(model).unwrap_or_default();
            let read = serde_json::from_str::<Model>(&json);
            let equal = read.as_ref().is_ok_and(|read| read == model);
            let at = || read.err().map_or("JSON".into(), |e| e.to_string());
            report.holds(name, at, equal);
        }
        Err(error) => {
            let named = error.to_string().contains("cannot be written");
            let name = "laws of your own are refused by name";
            report.holds(name, || error.to_string(), named);
        }
    }
}

fn prediction(report: &mut Report, tree: &Tree, twice: bool) {
    let traced = StateEvolution::new(tree).and_then(|chain| {
        let noise = chain.noise();
        // As far as `predict` itself goes, so that this is what it reads its answer off.
        let curve = chain.curve(Some((1e-4 * noise, 1e4 * noise)))?;
        let prediction = chain.predict_on(&curve, noise)?;
        Ok((chain, noise, prediction, curve))
    });
    let at = || match &traced {
        Ok(_) => "prediction".to_string(),
        Err(error) => error.to_string(),
    };
    report.holds("theory answers", at, traced.is_ok());
    let Ok((chain, noise, prediction, curve)) = traced else {
        return;
    };
    let points = &prediction.fixed_points;
    let at = || format!("{} fixed points", points.len());
    let ordered = points.windows(2).all(|w| w[0].overlap <= w[1].overlap);
    report.holds("fixed points by increasing overlap", at, ordered);
    for chosen in [&prediction.algorithmic, &prediction.optimal] {
        report.holds("chosen among the fixed points", at, points.contains(chosen));
    }
    for point in points {
        described(report, tree, point);
        let best = prediction.optimal.potential;
        if point.stable {
            let excess = (point.potential - best).max(0.0);
            let at = || format!("overlap {}", point.overlap);
            report.compare("optimal: largest potential", at, [excess, 0.0], 0.0);
        }
    }
    let on = |factor: f64| {
        chain
            .predict_on(&curve, noise * factor)
            .map(|p| p.fixed_points)
    };
    if twice {
        let again = (chain.curve(Some((noise / 3.0, 3.0 * noise))))
            .and_then(|curve| chain.predict_on(&curve, noise))
            .map(|again| again.fixed_points);
        repeated(report, tree, points, &again);
    }
    gradient(report, tree, points, noise, on);
}

/// The same points by another path.
fn repeated(
    report: &mut Report,
    tree: &Tree,
    points: &[FixedPoint],
    again: &Result<Vec<FixedPoint>, ReplicaError>,
) {
    let name = "claimed errors cover another curve";
    let at = || match again {
        Ok(again) => format!("{} fixed points, then {}", points.len(), again.len()),
        Err(error) => error.to_string(),
    };
    let again = again.as_deref().unwrap_or_default();
    report.holds(name, at, again.len() == points.len());
    for (one, other) in points.iter().zip(again) {
        let claimed = one.forward_error + other.forward_error;
        let rho = tree.signal().second_moment;
        let at = || format!("overlap {}", one.overlap);
        // Both claims are first order: ten times as much is a contradiction.
        let allowed = 10.0 * claimed + 1e-12 * rho;
        report.compare(name, at, [one.mmse, other.mmse], allowed);
    }
}

/// What one fixed point says of itself.
fn described(report: &mut Report, tree: &Tree, point: &FixedPoint) {
    let at = || format!("overlap {}", point.overlap);
    let finite = [
        point.overlap,
        point.mmse,
        point.potential,
        point.backward_error,
    ]
    .iter()
    .chain([&point.forward_error])
    .chain(point.variables.values().flat_map(|v| [&v.overlap, &v.mmse]))
    .chain(point.variables.values().filter_map(|v| v.snr.as_ref()))
    .chain(point.mutual_information.as_ref())
    .all(|x| x.is_finite());
    report.holds("theory is finite", at, finite);
    let claims = point.backward_error >= 0.0 && point.forward_error >= 0.0;
    report.holds("claimed errors >= 0", at, claims);
    let perfect = point.perfect == point.snr.is_none() && (!point.perfect || point.mmse == 0.0);
    report.holds("perfect: nothing is left unknown", at, perfect);
    let declared = tree.variables().iter().filter(|v| !v.is_field);
    for variable in declared {
        let at = || format!("{}, overlap {}", variable.name, point.overlap);
        let Some(v) = point.variables.get(&variable.name) else {
            report.holds("every variable is described", at, false);
            continue;
        };
        let rho = variable.second_moment;
        let inside = v.overlap >= 0.0 && v.mmse >= 0.0 && v.snr.is_none_or(|a| a >= 0.0);
        report.holds("overlap, mmse and snr >= 0", at, inside);
        let sum = [v.overlap + v.mmse, rho];
        report.compare("overlap + mmse = E x²", at, sum, TOLERANCE * rho);
    }
}

/// The slope of the information along every branch against the overlap on it.
fn gradient(
    report: &mut Report,
    tree: &Tree,
    points: &[FixedPoint],
    noise: f64,
    on: impl Fn(f64) -> Result<Vec<FixedPoint>, ReplicaError>,
) {
    let name = "information follows the overlap (I-MMSE)";
    let rho = tree.signal().second_moment;
    let observation = tree.factors().last().map(|f| &f.kind);
    // d information/d ln noise, at a fixed point.
    let slope = |point: &FixedPoint| match observation {
        Some(FactorKind::SpikedWigner { .. }) => {
            Some(-(rho + point.overlap) * point.mmse / (4.0 * noise))
        }
        Some(FactorKind::Denoising { .. }) => Some(-point.mmse / (2.0 * noise)),
        _ => None,
    };
    let steps = [0.08f64, 0.04, 0.02];
    let around: Vec<_> = (steps.iter())
        .map(|h| (on((-h).exp()), on(h.exp())))
        .collect();
    for (i, point) in points.iter().enumerate() {
        let Some(expected) = slope(point) else {
            continue;
        };
        // The same point at every noise, recognised by its place and its stability.
        let information = |found: &Result<Vec<FixedPoint>, _>| {
            let found = found.as_ref().ok().filter(|f| f.len() == points.len())?;
            let alike = found.iter().zip(points).all(|(f, p)| f.stable == p.stable);
            found[i].mutual_information.filter(|_| alike)
        };
        let central: Option<Vec<f64>> = (around.iter().zip(steps))
            .map(|((below, above), h)| {
                Some((information(above)? - information(below)?) / (2.0 * h))
            })
            .collect();
        let Some([d1, d2, d3]) = central.as_deref().and_then(|c| c.first_chunk().copied()) else {
            report.blind(name);
            continue;
        };
        let (e1, e2) = (d2 + (d2 - d1) / 3.0, d3 + (d3 - d2) / 3.0);
        let found = e2 + (e2 - e1) / 15.0;
        let size = expected.abs() + point.mutual_information.unwrap_or(0.0).abs();
        // What extrapolation moved, and the accuracy of the information over the least step.
        let error = (found - e2).abs() + 1e-7 * size;
        if error > 1e-2 * expected.abs() {
            report.blind(name);
            continue;
        }
        let at = || format!("overlap {}", point.overlap);
        let allowed = 10.0 * error + TOLERANCE * size;
        report.compare(name, at, [found, expected], allowed);
    }
}

fn simulation(report: &mut Report, tree: &Tree, trial: Trial) {
    let sizes = tree.sizes(tree.signal_index(), trial.size);
    let settings = Settings {
        max_iterations: trial.sweeps,
        seed: Seed(trial.seed),
        ..Settings::default()
    };
    let ran = || -> Result<(Instance, Outcome), String> {
        let tree = tree.realised(&sizes).map_err(|e| e.to_string())?;
        let stream = |purpose: &str| Seed(trial.seed).stream("conformance", 0, 0, purpose);
        let instance = Instance::draw(&tree, &sizes, stream, Teacher::independent())
            .map_err(|e| e.to_string())?;
        let problem = Problem::new(&tree, &instance).map_err(|e| e.to_string())?;
        let outcome = infer(&problem, &settings).map_err(|e| e.to_string())?;
        Ok((instance, outcome))
    };
    let ran = ran();
    let at = || ran.as_ref().err().cloned().unwrap_or("simulation".into());
    report.holds("algorithm answers", at, ran.is_ok());
    if let Ok((instance, outcome)) = &ran {
        told(report, tree, &settings, instance, outcome);
    }
}

/// Whether what a run says of itself is what it did.
fn told(
    report: &mut Report,
    tree: &Tree,
    settings: &Settings,
    instance: &Instance,
    outcome: &Outcome,
) {
    let stop = outcome.stop;
    let at = || {
        let (n, r) = (outcome.iterations, outcome.residual);
        format!("{stop:?} after {n} sweeps, residual {r:e}")
    };
    let records = outcome.trace.iter().flat_map(|r| {
        let known = [r.mse, r.overlap].into_iter().flatten();
        [r.residual, r.step, r.norm, r.claimed_mse, r.nishimori_gap]
            .into_iter()
            .chain(known)
    });
    let moments =
        (outcome.variables.iter()).flat_map(|v| v.mean.iter().chain(v.variance.iter()).copied());
    let finite = records
        .chain(moments)
        .chain(outcome.evidence)
        .chain([outcome.claimed_mse, outcome.residual])
        .all(f64::is_finite);
    report.holds("algorithm is finite", at, finite);
    let variances = outcome.variables.iter().flat_map(|v| v.variance.iter());
    report.holds("variances >= 0", at, variances.copied().all(|c| c >= 0.0));
    // A variable at rest moved by less than the tolerance, or by less than the rest of it.
    let rest = outcome.residual <= 4.0 * settings.tolerance;
    let honest = match stop {
        Stop::Converged => rest && !outcome.trivial,
        Stop::Trivial => rest && outcome.trivial,
        Stop::NotConverged => outcome.iterations == settings.max_iterations,
        Stop::Diverged => outcome.evidence.is_none(),
        _ => false,
    };
    report.holds("the status is what happened", at, honest);
    let last = outcome.trace.last();
    let told = outcome.trace.len() == outcome.iterations + 1
        && last.is_some_and(|r| r.iteration == outcome.iterations && r.mse == outcome.mse);
    report.holds("the trace ends in the outcome", at, told);
    // The error once more, from the estimate and the truth.
    let v = tree.signal_index();
    let (Some(truth), Some(mse)) = (instance.truth(v), outcome.mse) else {
        report.holds("the error is known", at, false);
        return;
    };
    let n = truth.len() as f64;
    let error = |sign: f64| {
        let pairs = outcome.estimate.iter().zip(truth);
        pairs.map(|(m, x)| (sign * m - x).powi(2)).sum::<f64>() / n
    };
    let free = tree.free_signs()[v];
    let expected = if free {
        error(1.0).min(error(-1.0))
    } else {
        error(1.0)
    };
    let norm = truth.iter().map(|x| x * x).sum::<f64>() / n;
    let allowed = 1e-12 * (norm + expected);
    report.compare("mse of the estimate returned", at, [mse, expected], allowed);
    if stop != Stop::Diverged {
        // Half the mass of the prior at most: by chance a small system leaves it far behind.
        let rho = tree.signal().second_moment;
        let proper = outcome.claimed_mse >= 0.0 && outcome.claimed_mse <= 1e3 * rho;
        report.holds("the error claimed is one", at, proper);
    }
}
