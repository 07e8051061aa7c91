/// A model that ships with the library.
///
/// ```
/// let names: Vec<_> = onsager_model::presets().iter().map(|p| p.name).collect();
/// assert!(names.contains(&"spiked-sign"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is, in a line.
    pub description: &'static str,
    /// The model file.
    pub text: &'static str,
}

/// The models that ship with the library; all of them run.
///
/// ```
/// for preset in onsager_model::presets() {
///     onsager_model::Model::parse(preset.text, preset.name)?.tree()?;
/// }
/// # Ok::<(), onsager_model::ModelError>(())
/// ```
#[must_use]
pub fn presets() -> &'static [Preset] {
    macro_rules! preset {
        ($name:literal, $description:literal) => {
            Preset {
                name: $name,
                description: $description,
                text: include_str!(concat!("../presets/", $name, ".toml")),
            }
        };
    }
    const {
        &[
            preset!("spiked-gaussian", "spiked Wigner matrix, Gaussian spike"),
            preset!("spiked-rademacher", "spiked Wigner matrix, spike of signs"),
            preset!(
                "spiked-sparse",
                "spiked Wigner matrix, sparse spike (hard phase)"
            ),
            preset!(
                "spiked-linear",
                "spiked Wigner matrix, spike from a linear layer"
            ),
            preset!(
                "spiked-sign",
                "spiked Wigner matrix, spike from a sign layer"
            ),
            preset!(
                "spiked-relu",
                "spiked Wigner matrix, spike from a ReLU layer"
            ),
            preset!(
                "spiked-deep-relu",
                "spiked Wigner matrix, spike from three ReLU layers"
            ),
            preset!("denoising-sparse", "sparse vector in Gaussian noise"),
            preset!("denoising-sign", "output of a sign layer in Gaussian noise"),
        ]
    }
}
