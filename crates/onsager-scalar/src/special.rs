//! Special functions of Gaussian and binary messages, stable on the whole line.
//!
//! Every function is total on the real line and propagates NaN. Accuracies are relative, in
//! units of the last place (ulp), measured against 25-digit tables (`tests/numerics_special.rs`).

mod bessel;
mod interval;

use std::f64::consts::{FRAC_1_SQRT_2, LN_2};

pub use bessel::{bessel_ratio, i0e, i1e};
pub(crate) use interval::LEGENDRE;
pub(crate) use interval::interval_of_width;
pub use interval::{Interval, interval, interval_moments};

const FRAC_1_SQRT_2PI: f64 = 0.398_942_280_401_432_7;
const LN_SQRT_2PI: f64 = 0.918_938_533_204_672_7;

/// Density `φ(x) = exp(-x²/2)/√(2π)` of the standard normal law.
///
/// - **Accuracy**: 2 ulp; subnormal from `|x| ≈ 37.6`, 0 from `|x| ≈ 38.6`.
pub fn normal_density(x: f64) -> f64 {
    FRAC_1_SQRT_2PI * exp_minus_half_square(x)
}

/// Distribution function `Φ(x) = ∫_{-∞}^x φ` of the standard normal law.
///
/// - **Accuracy**: 4 ulp, also in the lower tail, until it becomes subnormal near `x = -37.5`.
///
/// ```
/// use onsager_scalar::special::ndtr;
/// assert_eq!(ndtr(0.0), 0.5);
/// assert_eq!(ndtr(40.0), 1.0);
/// ```
pub fn ndtr(x: f64) -> f64 {
    if x < -1.0 {
        0.5 * exp_minus_half_square(x) * erfcx(-x * FRAC_1_SQRT_2)
    } else {
        0.5 * libm::erfc(-x * FRAC_1_SQRT_2)
    }
}

/// Log-distribution function `ln Φ(x)` of the standard normal law.
///
/// `-x²/2 + ln(erfcx(-x/√2)/2)` for `x ≤ 0`, where both terms are negative, and
/// `ln(1 - Φ(-x))` for `x > 0`.
///
/// - **Accuracy**: 4 ulp on the whole line.
pub fn log_ndtr(x: f64) -> f64 {
    if x <= 0.0 {
        -0.5 * x * x + libm::log(0.5 * erfcx(-x * FRAC_1_SQRT_2))
    } else {
        libm::log1p(-ndtr(-x))
    }
}

/// Inverse Mills ratio `R(u) = φ(u)/Φ(u) = d ln Φ/du`.
///
/// Decreasing from `-u - 1/u + …` at `-∞` to `φ(u)` at `+∞`. For `u < 0` it is `-u` plus the
/// mean excess of [`mills_defect`], both positive.
///
/// - **Accuracy**: 4 ulp on the whole line, until it becomes subnormal near `u = 37.5`.
pub fn inverse_mills(u: f64) -> f64 {
    if u < 0.0 {
        mills_defect(u).mean - u
    } else {
        normal_density(u) / ndtr(u)
    }
}

/// First two cumulants of `u + z`, `z ~ N(0, 1)`, given that it is positive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TruncatedMoments {
    /// `u + R(u)`, positive.
    pub mean: f64,
    /// `1 - R(u) (u + R(u))`, in `[0, 1]`.
    pub variance: f64,
}

/// Mean and variance of `u + z`, `z ~ N(0, 1)`, given `u + z > 0`.
///
/// With `R = φ/Φ` these are `u + R(u)` and `1 - R(u) (u + R(u))`, which behave as `-1/u` and
/// `1/u²` when `u → -∞` and cancel there. For `u < 0` both come from piecewise polynomials in
/// `4/(4 - u)` of the smooth functions `mean · (4 - u)` and `variance · (4 - u)²`, so nothing
/// is subtracted and no asymptotic series takes over.
///
/// - **Accuracy**: 4 ulp each on the whole line (the variance underflows below `u = -1e154`).
/// - **Source**: derivation above; coefficients printed by `tests/reference/scalar_tables.py`.
///
/// ```
/// use onsager_scalar::special::mills_defect;
/// use std::f64::consts::PI;
/// let half_normal = mills_defect(0.0);
/// assert!((half_normal.mean - (2.0 / PI).sqrt()).abs() < 1e-15);
/// assert!((half_normal.variance - (1.0 - 2.0 / PI)).abs() < 1e-15);
/// ```
pub fn mills_defect(u: f64) -> TruncatedMoments {
    if u < 0.0 {
        let y = 4.0 / (4.0 - u);
        let place = y * PIECES as f64;
        // `y = 1` at the origin belongs to the last piece.
        let piece = (place as usize).min(PIECES - 1);
        let s = 2.0 * (place - piece as f64) - 1.0;
        let scale = 0.25 * y;
        TruncatedMoments {
            mean: scale * horner(&MEAN[piece], s),
            variance: scale * (scale * horner(&VARIANCE[piece], s)),
        }
    } else {
        let r = inverse_mills(u);
        // At `u = +∞` the truncation disappears; `0 · ∞` must not.
        let product = if r == 0.0 { 0.0 } else { r * (u + r) };
        TruncatedMoments {
            mean: u + r,
            variance: 1.0 - product,
        }
    }
}

/// All that a Gaussian cut at `-u` leaves on the positive side, from one evaluation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HalfLine {
    /// `ln Φ(u)`, see [`log_ndtr`].
    pub log_mass: f64,
    /// `R(u)`, see [`inverse_mills`].
    pub inverse_mills: f64,
    /// Cumulants of what is left, see [`mills_defect`].
    pub moments: TruncatedMoments,
}

/// [`log_ndtr`], [`inverse_mills`] and [`mills_defect`] of one argument, for the price of one.
///
/// `ln Φ = -u²/2 - ln √(2π) - ln R` for `u < 0`, where no two terms of opposite sign exceed the
/// result, and `ln(1 - Φ(-u))` otherwise.
///
/// - **Accuracy**: 6 ulp each.
///
/// ```
/// use onsager_scalar::special::{half_line, log_ndtr};
/// assert!((half_line(-3.0).log_mass - log_ndtr(-3.0)).abs() < 1e-14);
/// ```
pub fn half_line(u: f64) -> HalfLine {
    if u < 0.0 {
        let moments = mills_defect(u);
        let r = moments.mean - u;
        return HalfLine {
            log_mass: -0.5 * u * u - LN_SQRT_2PI - libm::log(r),
            inverse_mills: r,
            moments,
        };
    }
    let e = exp_minus_half_square(u);
    let beyond = if u > 1.0 {
        0.5 * e * erfcx(u * FRAC_1_SQRT_2)
    } else {
        0.5 * libm::erfc(u * FRAC_1_SQRT_2)
    };
    let r = FRAC_1_SQRT_2PI * e / (1.0 - beyond);
    // At `u = +∞` the truncation disappears; `0 · ∞` must not.
    let product = if r == 0.0 { 0.0 } else { r * (u + r) };
    HalfLine {
        log_mass: libm::log1p(-beyond),
        inverse_mills: r,
        moments: TruncatedMoments {
            mean: u + r,
            variance: 1.0 - product,
        },
    }
}

/// `ln(eᵃ + eᵇ)`; the logarithm of a difference of normal tails is [`interval`]'s mass.
///
/// - **Accuracy**: 2 ulp of `max(|a|, |b|, 1)`, absolute: the result may vanish while `a` and
///   `b` do not.
pub fn log_add_exp(a: f64, b: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    if low == high || low == f64::NEG_INFINITY {
        // Equal infinities have no difference.
        return if low == high { high + LN_2 } else { high };
    }
    high + libm::log1p(libm::exp(low - high))
}

/// `ln(1 + eˣ)`, the softplus function.
///
/// - **Accuracy**: 4 ulp on the whole line.
pub fn log1p_exp(x: f64) -> f64 {
    x.max(0.0) + libm::log1p(libm::exp(-x.abs()))
}

/// Logistic function `1/(1 + e⁻ˣ)`.
///
/// - **Accuracy**: 4 ulp on the whole line.
pub fn logistic(x: f64) -> f64 {
    let e = libm::exp(-x.abs());
    if x < 0.0 {
        e / (1.0 + e)
    } else {
        1.0 / (1.0 + e)
    }
}

/// `ln cosh x`.
///
/// - **Accuracy**: 4 ulp on the whole line, including `x → 0`, where it is `x²/2`.
pub fn log_cosh(x: f64) -> f64 {
    let x = x.abs();
    if x < 1.0 {
        let s = libm::sinh(x);
        0.5 * libm::log1p(s * s)
    } else {
        x + (libm::log1p(libm::exp(-2.0 * x)) - LN_2)
    }
}

/// `sech² x = 1 - tanh² x`, without the subtraction.
///
/// - **Accuracy**: 4 ulp on the whole line, until it becomes subnormal near `|x| = 354`.
pub fn sech2(x: f64) -> f64 {
    let e = libm::exp(-2.0 * x.abs());
    4.0 * e / ((1.0 + e) * (1.0 + e))
}

/// Scaled complementary error function `exp(t²) erfc(t)`.
///
/// - **Accuracy**: 4 ulp for `t > -1`; below it is `2 exp(t²)` in essence and carries the rounding of
///   `t²`, 4 ulp of `1 + t²`; infinite from `t ≈ -26.6` down.
///
/// ```
/// use onsager_scalar::special::erfcx;
/// assert_eq!(erfcx(0.0), 1.0);
/// assert!((erfcx(1e9) * 1e9 * std::f64::consts::PI.sqrt() - 1.0).abs() < 1e-15);
/// ```
pub fn erfcx(t: f64) -> f64 {
    // The library looks a table up, which NaN must not reach.
    if t.is_nan() { t } else { puruspe::erfcx(t) }
}

/// `exp(-x²/2)` without the loss of `x²` ulp that rounding the square would cost.
///
/// With `h` the leading 26 bits of `x`, `h²` is exact and `x² = h² + (x - h)(x + h)`.
fn exp_minus_half_square(x: f64) -> f64 {
    // exp(-39²/2) is below the smallest subnormal.
    if x.abs() > 39.0 {
        return 0.0;
    }
    let h = f64::from_bits(x.to_bits() & !0x07ff_ffff);
    // At most 5e-5, so that four terms of its exponential are enough.
    let t = -0.5 * (x - h) * (x + h);
    libm::exp(-0.5 * h * h) * (1.0 + t * (1.0 + t * (0.5 + t / 6.0)))
}

fn horner<const N: usize>(coefficients: &[f64; N], s: f64) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, c| sum * s + c)
}

/// Number of equal pieces of `4/(4 - u) ∈ (0, 1]`; degree 10 on each leaves less than 1e-17.
const PIECES: usize = 16;

// `mean · (4 - u)` and `variance · (4 - u)²`, powers of `s ∈ [-1, 1]` on each piece.
#[rustfmt::skip]
const MEAN: [[f64; 11]; PIECES] = [
    [1.0321238394180388, 0.03301729757444192, 0.0009133458452008217, 2.015374870577062e-05,
     2.628238887870307e-07, -3.594104570815205e-09, -3.7090643153312186e-10, -1.3048337866964833e-11,
     -2.246162680103919e-13, 2.977802054456378e-15, 3.5381797058016886e-16],
    [1.1019771126444444, 0.036920571494838725, 0.0010401904118689234, 2.2045542818256022e-05,
     2.0074050322610865e-07, -9.232517445456866e-09, -5.753913690625085e-10, -1.5813746649075485e-11,
     -9.168604373506445e-14, 1.2758960028573874e-14, 6.205041765570151e-16],
    [1.1801582591661357, 0.04135144712988746, 0.0011763940205049787, 2.3181161934990225e-05,
     6.942140206994128e-08, -1.7475687374892574e-08, -7.962734987398371e-10, -1.4804250626052656e-11,
     2.6021256438898075e-13, 2.6719451268848902e-14, 7.204441379705984e-16],
    [1.2677526775484256, 0.04633586139985364, 0.0013155485942796124, 2.2902432313299117e-05,
     -1.5684846529712446e-07, -2.809847461512573e-08, -9.541282630457917e-10, -6.149559903146377e-12,
     8.564860482404347e-13, 3.80189372218496e-14, 2.939793440343364e-16],
    [1.3658663438447627, 0.05186543295414715, 0.0014467195364524174, 2.0369343899934775e-05,
     -4.956875684236542e-07, -3.960285090941423e-08, -9.183026739725916e-10, 1.3101154921092779e-11,
     1.536973570853337e-12, 3.3416019935530514e-14, -8.65263984952302e-16],
    [1.4755377876729427, 0.0578775441977098, 0.0015536621785767711, 1.4683056187712616e-05,
     -9.41303562087079e-07, -4.8774679352087587e-08, -5.440800479988441e-10, 4.1340843040736414e-11,
     1.895901702881679e-12, 1.1264785709741166e-15, -2.337173430421428e-15],
    [1.597608338539425, 0.06423428188696426, 0.001615167832487861, 5.1411046397525974e-06,
     -1.4480248749253134e-06, -5.099948655268977e-08, 2.3927575119088977e-10, 6.935358882206118e-11,
     1.436684892757997e-12, -5.452386580405319e-14, -2.981361870095052e-15],
    [1.7325539266266006, 0.07070630805940796, 0.0016072882254623822, -8.403715503421632e-06,
     -1.9228943520953176e-06, -4.179226016890033e-08, 1.3247969685560766e-09, 8.176284303373397e-11,
     -3.9788269127384144e-14, -1.0495526308650085e-13, -1.7067717149108725e-15],
    [1.8802964574483665, 0.07697003107529518, 0.0015077454104462417, -2.5201464460104245e-05,
     -2.2389225351347756e-06, -1.926696422325876e-08, 2.3902918124074554e-09, 6.496318631697216e-11,
     -2.0788953609814516e-12, -1.1070576447376883e-13, 1.307876614963233e-15],
    [2.040029610928214, 0.08262589392859719, 0.0013018742331767194, -4.3468993286186325e-05,
     -2.2727372926235594e-06, 1.373312696446034e-08, 2.9988904477186685e-09, 1.7743392042203083e-11,
     -3.649244195289038e-12, -5.3206594014833086e-14, 4.2217989378520385e-15],
    [2.2101054126783035, 0.08724071389736969, 0.00098833815127641, -6.0618566097515254e-05,
     -1.9547468859541456e-06, 4.950402470394148e-08, 2.8179632635261106e-09, -4.3916293420857755e-11,
     -3.767840693121223e-12, 4.217989721027919e-14, 4.812123064898049e-15],
    [2.38802572651825, 0.0904085697685842, 0.0005823134476678996, -7.385655221655346e-05,
     -1.306912594156818e-06, 7.806492408556251e-08, 1.8247888195025424e-09, -9.385287895043047e-11,
     -2.240006444687377e-12, 1.1914430534914172e-13, 2.485310279209174e-15],
    [2.5705629591676926, 0.09181627522944502, 0.00011442486705073232, -8.095318738815067e-05,
     -4.4505491208964664e-07, 9.133159651066472e-08, 3.463069388901897e-10, -1.1093604973751193e-10,
     1.463088980550098e-13, 1.3306478438232485e-13, -1.0860883977541609e-15],
    [2.754001393396338, 0.09129561846106418, -0.0003746596224696536, -8.086612121533793e-05,
     4.5865859355986224e-07, 8.649025856342174e-08, -1.1064569731795227e-09, -9.114706956547199e-11,
     2.1769747530138734e-12, 8.391888129091008e-14, -3.4814427589422317e-15],
    [2.934457087201226, 0.08884793194311526, -0.0008422518764004501, -7.396102009029986e-05,
     1.2343809734648181e-06, 6.667180153611955e-08, -2.0945061720961875e-09, -4.7746870146907095e-11,
     3.0226381239840775e-12, 9.818849233931424e-15, -3.555757520130685e-15],
    [3.1082139996295925, 0.08463580569582978, -0.001251588455092057, -6.177554322189429e-05,
     1.7654383490010033e-06, 3.8873571530609423e-08, -2.4290522708787028e-09, -1.1023749531409265e-12,
     2.6362563175812326e-12, -4.696195044313031e-14, -1.963100072009289e-15],
];
#[rustfmt::skip]
const VARIANCE: [[f64; 11]; PIECES] = [
    [1.0651411369924808, 0.06786128683928548, 0.0028004987817197846, 8.166629037820991e-05,
     1.296148921009165e-06, -2.379006592720358e-08, -2.6876831554895814e-09, -1.0618376547425666e-10,
     -1.9950424983146815e-12, 3.338239598652988e-14, 4.023756386659013e-15],
    [1.2127388271289605, 0.080082285460891, 0.0033189811209710946, 9.059105731172046e-05,
     8.652147542558363e-07, -6.575214924478689e-08, -4.359827646546866e-09, -1.2871054654283798e-10,
     -4.814745313747411e-13, 1.4625887161238233e-13, 7.177354448832455e-15],
    [1.386915494815573, 0.0944668344648247, 0.0038768994905397742, 9.411307578137633e-05,
     -8.978517388333732e-08, -1.287423292812919e-07, -6.092063710752762e-09, -1.0802539614809847e-10,
     3.5448659479642315e-12, 3.0316357243059823e-13, 7.667481957444238e-15],
    [1.5921037073474011, 0.11108940311962186, 0.004427596861417956, 8.721797222495717e-05,
     -1.7676889364887805e-06, -2.0866423507543818e-07, -6.98023116312636e-09, -1.2327473700507654e-12,
     1.0109852764064702e-11, 4.005113515407483e-13, 4.393971095288433e-16],
    [1.832655240432087, 0.1297718175644378, 0.004890130894655107, 6.363262313661253e-05,
     -4.260566129457842e-06, -2.872054503758695e-07, -5.6027574270907435e-09, 2.154721362264453e-10,
     1.6554206299083896e-11, 2.5588657687749256e-13, -1.6072027246899083e-14],
    [2.1121907738477503, 0.14993565632410855, 0.005145527389924415, 1.7314868019089783e-05,
     -7.38912517093821e-06, -3.285573595777257e-07, -6.253277756162031e-10, 4.975665471255302e-10,
     1.7190515464150672e-11, -2.460507465280771e-13, -3.2764481931113944e-14],
    [2.4326540030699606, 0.17046292741861288, 0.005046006578414012, -5.473287493720781e-05,
     -1.0555091001274651e-05, -2.8733341029522444e-07, 7.98610916338199e-09, 7.042432871923818e-10,
     6.547878164475124e-12, -9.324895846095054e-13, -3.1461718359778184e-14],
    [2.79314854751772, 0.1896312628826874, 0.004443697478734196, -0.00014898852313968022,
     -1.2748891282695467e-05, -1.315218326898939e-07, 1.7858707866865963e-08, 6.493263943898594e-10,
     -1.4566361306744405e-11, -1.304689623142435e-12, -1.3035347635554784e-15],
    [3.1887869857283846, 0.2052034061057626, 0.0032379615438750883, -0.0002530525902298419,
     -1.2832304650328814e-05, 1.2820798061880554e-07, 2.446271202233755e-08, 2.3697405632014715e-10,
     -3.571253084298884e-11, -8.838860953983501e-13, 4.3047139415307847e-14],
    [3.6099215955715604, 0.21472300871790972, 0.0014278900822186761, -0.0003466040073841423,
     -1.0059039412116935e-05, 4.2427227285390155e-07, 2.3352138256331354e-08, -4.12738022792925e-10,
     -4.198520229270318e-11, 2.7009657425161947e-13, 6.584732685150794e-14],
    [4.0421604045230675, 0.2159916301483486, -0.0008539552103148326, -0.0004066730028099185,
     -4.575811830235144e-06, 6.520875182067397e-07, 1.3270029713872468e-08, -9.84325723024137e-10,
     -2.5915417042730554e-11, 1.4314144563367261e-12, 4.2642087493155175e-14],
    [4.4674228311956865, 0.20760355812989176, -0.0033491617599407594, -0.0004156621675282797,
     2.4429033202439443e-06, 7.202104000869297e-07, -2.3368595738720338e-09, -1.1629819047008782e-09,
     4.58998048835013e-12, 1.7619080969527468e-12, -1.140141571091152e-14],
    [4.865969839903818, 0.18935379381142664, -0.005728214452961545, -0.00036831824076141327,
     9.191175026164039e-06, 5.999356192502614e-07, -1.6989733014151273e-08, -8.582256320191772e-10,
     3.135005134300111e-11, 1.0586326187281704e-12, -5.358516118083943e-14],
    [5.218983091845071, 0.16235961730876708, -0.007674134685852329, -0.0002739293567570073,
     1.3969477883149996e-05, 3.3969552223238017e-07, -2.4972024675634882e-08, -2.589507822793371e-10,
     4.0023258081737866e-11, -1.0041455281513386e-13, -5.526936083244188e-14],
    [5.511047113551568, 0.1288452550550044, -0.008961364377056604, -0.00015265588743952046,
     1.5839316082281986e-05, 3.558673627962999e-08, -2.435413294976016e-08, 3.192755481940367e-10,
     2.9734454723669825e-11, -9.32213518463361e-13, -2.488734925909583e-14],
    [5.731923976200315, 0.09167312717595204, -0.00949989088491057, -2.8187817611625667e-05,
     1.4852595315736194e-05, -2.1856229247349695e-07, -1.7242528423278735e-08, 6.449714604379346e-10,
     1.0555993296105615e-11, -1.0776271872854203e-12, 8.595031294753934e-15],
];
