//! From pictures to marks on the page.

use kuva::backend::svg::SvgBackend;
use kuva::render::render::Scene;

use super::Picture;

pub(super) fn scene(_picture: &Picture) -> Scene {
    Scene::new(100.0, 100.0)
}

pub(super) fn svg(scene: &Scene) -> String {
    SvgBackend::new().render_scene(scene)
}

pub(super) fn png(scene: &Scene) -> Result<Vec<u8>, String> {
    kuva::RasterBackend::new()
        .with_scale(2.0)
        .render_scene(scene)
}
