//! One declaration, from the file to a small simulation.

use onsager_amp::{Outcome, Problem, Settings, Stop, infer};
use onsager_ensembles::Seed;
use onsager_model::{FactorKind, Instance, Model, ModelError, Teacher, Tree};
use onsager_replica::{FixedPoint, ReplicaError, Start, StateEvolution, average, trajectory};
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
    /// How much theory.
    pub theory: Theory,
}

/// The theory behind a check, by increasing work; each includes the one before.
///
/// ```
/// use onsager::conformance::Theory;
/// assert!(Theory::Trajectory < Theory::TwoCurves);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Theory {
    /// Two iterations from the truth.
    Trajectory,
    /// All fixed points, on the curve that they lie on.
    Curve,
    /// All fixed points a second time, on a curve traced over another range.
    TwoCurves,
}

impl Default for Trial {
    fn default() -> Self {
        Self {
            size: 100,
            sweeps: 30,
            seed: 0,
            theory: Theory::TwoCurves,
        }
    }
}

/// Relative accuracy of predictions; they claim 1e-8 in the noise.
const TOLERANCE: f64 = 1e-6;

/// Entries that the matrices of a simulation may have, which then takes no second.
const ENTRIES: usize = 1_000_000;

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
/// | trajectory | two iterations from the truth are finite and inside the range of the errors |
/// | prediction | finite; some fixed point is stable; `0 <= q <= E x²` and `q + mmse = E x²` for every variable; fixed points in order; the optimal one has the largest potential among the stable ones |
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
            steps(&mut report, &tree);
            if trial.theory >= Theory::Curve {
                prediction(&mut report, &tree, trial.theory);
            }
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

/// The first iterations of message passing that starts at the truth.
fn steps(report: &mut Report, tree: &Tree) {
    let run = trajectory(tree, &Start::Informed, 2);
    let at = || {
        run.as_ref()
            .err()
            .map_or("trajectory".into(), ToString::to_string)
    };
    if let Err(ReplicaError::NotAChain(_) | ReplicaError::NotSupported(_)) = run {
        return report.holds("refused as not supported yet", at, true);
    }
    report.holds("state evolution answers", at, run.is_ok());
    let steps = run.as_ref().map_or(&[][..], |run| &run.steps);
    for step in steps {
        let rho = tree.signal().second_moment;
        let at = || {
            format!(
                "step {}: mse {}, claimed {}",
                step.iteration, step.mmse, step.claimed
            )
        };
        let inside = |e: f64| (0.0..=(1.0 + TOLERANCE) * rho).contains(&e);
        let within = inside(step.mmse) && inside(step.claimed);
        report.holds("trajectory: 0 <= error <= E x²", at, within);
    }
}

fn prediction(report: &mut Report, tree: &Tree, theory: Theory) {
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
    if let Err(ReplicaError::NotAChain(_) | ReplicaError::NotSupported(_)) = traced {
        return report.holds("refused as not supported yet", at, true);
    }
    if traced.is_err() && all_but_constant(tree) {
        return report.holds("refused: a variable is all but constant", at, true);
    }
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
    let settled = points.iter().any(|point| point.stable);
    report.holds("a stable fixed point exists", at, settled);
    let on = |factor: f64| {
        chain
            .predict_on(&curve, noise * factor)
            .map(|p| p.fixed_points)
    };
    if theory == Theory::TwoCurves {
        let again = (chain.curve(Some((noise / 3.0, 3.0 * noise))))
            .and_then(|curve| chain.predict_on(&curve, noise))
            .map(|again| again.fixed_points);
        repeated(report, tree, points, &again);
    }
    if !all_but_constant(tree) {
        gradient(report, tree, points, noise, on);
    }
}

/// Whether a variable hardly varies at all, as behind a door that no field reaches: its information
/// drowns in rounding, and the theory may refuse to look for it.
fn all_but_constant(tree: &Tree) -> bool {
    let mut declared = tree.variables().iter().filter(|v| !v.is_field);
    let constant = |mean: f64, square: f64| square - mean * mean <= TOLERANCE * square;
    declared.any(|v| constant(v.mean, v.second_moment))
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
    let finite = [point.overlap, point.mmse, point.backward_error]
        .iter()
        .chain([&point.forward_error])
        // Measurements without noise tell a signal of a density infinitely much.
        .chain(Some(&point.potential).filter(|_| !point.perfect))
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
    // Of theory these may be made equal; of the law behind the message they are two integrals.
    for factor in tree.factors() {
        let FactorKind::Prior(law) = &factor.kind else {
            continue;
        };
        let variable = &tree.variables()[factor.variables[0]];
        let snr = point.variables.get(&variable.name).and_then(|v| v.snr);
        if let Some(Ok(own)) = snr.map(|a| average::prior(law.as_ref(), a)) {
            let at = || format!("{}, overlap {}", variable.name, point.overlap);
            report.compare(
                "averages of the law: E 1, E x²",
                at,
                [own.error, 0.0],
                TOLERANCE,
            );
        }
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
    // d information/d ln noise, at a fixed point; of measurements the noise is p/n.
    let slope = |point: &FixedPoint| match observation {
        Some(FactorKind::SpikedWigner { .. }) => {
            Some(-(rho + point.overlap) * point.mmse / (4.0 * noise))
        }
        Some(FactorKind::Denoising { .. }) => Some(-point.mmse / (2.0 * noise)),
        Some(FactorKind::Likelihood(law)) if law.is_constant(rho) => Some(0.0),
        // What one measurement more tells, of 1/noise for each component.
        Some(FactorKind::Likelihood(law)) if !point.perfect => {
            let told = average::output(law.as_ref(), point.overlap, point.mmse).ok()?;
            Some((told.potential + law.entropy(rho)) / noise)
        }
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
        // What extrapolation moved, and the accuracy of averages (3e-11 of the terms that the
        // information is a difference of) over the least step.
        let terms = point.potential.abs() + point.mutual_information.unwrap_or(0.0).abs();
        let error = (found - e2).abs() + 3e-11 * terms / steps[2];
        if error > 1e-2 * expected.abs() {
            report.blind(name);
            continue;
        }
        let at = || format!("overlap {}", point.overlap);
        let allowed = 10.0 * error + TOLERANCE * expected.abs();
        report.compare(name, at, [found, expected], allowed);
    }
}

fn simulation(report: &mut Report, tree: &Tree, trial: Trial) {
    let sizes = affordable(tree, trial.size);
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

/// Sizes with that many components of the signal, or fewer where chains of large ratios would make
/// matrices of more than [`ENTRIES`].
fn affordable(tree: &Tree, size: usize) -> Vec<usize> {
    let mut p = size.max(1);
    loop {
        let sizes = tree.sizes(tree.signal_index(), p);
        let pairs = sizes.windows(2).map(|pair| pair[0].saturating_mul(pair[1]));
        if p == 1 || pairs.fold(0, usize::saturating_add) <= ENTRIES {
            return sizes;
        }
        p /= 2;
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
    // At rest the estimates move by less than the tolerance; one that vanishes was larger before.
    let rest = outcome.residual <= settings.tolerance;
    let vanished = outcome.variables.iter().any(|v| v.trivial);
    let honest = match stop {
        Stop::Converged => (rest || vanished) && !outcome.trivial,
        Stop::Trivial => outcome.trivial,
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

/// Doctored answers: every identity is shown to refuse something.
#[cfg(test)]
mod tests {
    use onsager_model::Law;

    use super::*;

    fn tree() -> Tree {
        let model = Model::builder().prior(Law::sparse(0.3)).spiked_wigner(0.03);
        model.and_then(|model| model.tree()).expect("a model")
    }

    fn broken(check: impl FnOnce(&mut Report)) -> Failure {
        let mut report = Report::new("doctored", 0);
        check(&mut report);
        report.verdict().expect_err("something is wrong")
    }

    #[test]
    fn fixed_points_that_lie_are_refused() {
        let tree = tree();
        let chain = StateEvolution::new(&tree).expect("a chain");
        let noise = chain.noise();
        let truth = chain.predict().expect("a prediction").optimal;
        let mut clean = Report::new("truth", 0);
        described(&mut clean, &tree, &truth);
        clean.verdict().expect("nothing is wrong");
        type Doctor = fn(&mut FixedPoint);
        let lies: [(&str, Doctor); 6] = [
            ("theory is finite", |p| p.potential = f64::NAN),
            ("claimed errors >= 0", |p| p.forward_error = -1.0),
            ("perfect: nothing is left unknown", |p| p.perfect = true),
            ("every variable is described", |p| p.variables.clear()),
            ("overlap, mmse and snr >= 0", |p| {
                p.variables.values_mut().for_each(|v| v.mmse = -v.mmse);
            }),
            ("overlap + mmse = E x²", |p| {
                p.variables.values_mut().for_each(|v| v.overlap *= 1.0001);
            }),
        ];
        for (identity, lie) in lies {
            let mut point = truth.clone();
            lie(&mut point);
            let failure = broken(|report| described(report, &tree, &point));
            assert!(failure.names(identity), "{failure}");
        }
        // An overlap that is off by ten times what it claims, and a point that is lost.
        let mut moved = truth.clone();
        moved.mmse += 1e-10 + 30.0 * truth.forward_error;
        for again in [vec![moved], vec![]] {
            let points = std::slice::from_ref(&truth);
            let failure = broken(|report| repeated(report, &tree, points, &Ok(again)));
            assert!(failure.names("claimed errors cover another curve"));
        }
        // An overlap off the stationary point of the information by a tenth of a percent.
        let curve = chain
            .curve(Some((0.5 * noise, 2.0 * noise)))
            .expect("a curve");
        let on = |factor: f64| {
            let found = chain.predict_on(&curve, noise * factor)?;
            Ok(vec![found.optimal])
        };
        for (off, refused) in [(0.0, false), (1e-3, true)] {
            let mut point = truth.clone();
            point.mmse *= 1.0 + off;
            let mut report = Report::new("doctored", 0);
            gradient(&mut report, &tree, &[point], noise, on);
            assert_eq!(report.rows()[0].points, 1);
            assert_eq!(report.verdict().is_err(), refused);
        }
    }

    #[test]
    fn runs_that_lie_are_refused() {
        let tree = tree();
        let sizes = tree.sizes(tree.signal_index(), 100);
        let stream = |purpose: &str| Seed(1).stream("conformance", 0, 0, purpose);
        let instance = Instance::draw(&tree, &sizes, stream, Teacher::independent());
        let instance = instance.expect("an instance");
        let settings = Settings::default();
        let problem = Problem::new(&tree, &instance).expect("a problem");
        let truth = infer(&problem, &settings).expect("an outcome");
        assert_eq!(truth.stop, Stop::Converged);
        let mut clean = Report::new("truth", 0);
        told(&mut clean, &tree, &settings, &instance, &truth);
        clean.verdict().expect("nothing is wrong");
        type Doctor = fn(&mut Outcome);
        let lies: [(&str, Doctor); 8] = [
            ("algorithm is finite", |o| o.evidence = Some(f64::NAN)),
            ("variances >= 0", |o| o.variables[0].variance[3] = -1e-9),
            ("the status is what happened", |o| o.residual = 1e-3),
            ("the status is what happened", |o| {
                o.stop = Stop::NotConverged
            }),
            ("the trace ends in the outcome", |o| {
                o.trace.pop();
            }),
            ("the error is known", |o| o.mse = None),
            ("mse of the estimate returned", |o| o.estimate *= 1.001),
            ("the error claimed is one", |o| o.claimed_mse = -1.0),
        ];
        for (identity, lie) in lies {
            let mut outcome = truth.clone();
            lie(&mut outcome);
            let failure = broken(|report| told(report, &tree, &settings, &instance, &outcome));
            assert!(failure.names(identity), "{failure}");
        }
    }
}
