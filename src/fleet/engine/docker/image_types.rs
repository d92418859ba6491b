//! Images as the container engine reports them.

use std::collections::HashMap;

use bollard::models::ImageInspect;

use super::spec::{OUR_TITLE, TITLE_LABEL};
use crate::fleet::version::ImageVersion;

/// The result of inspecting an image.
#[derive(Clone, Debug)]
pub(super) struct ImageInfo {
    pub(super) id: String,
    pub(super) labels: HashMap<String, String>,
}

impl ImageInfo {
    /// Reads an inspection; `None` without an ID.
    pub(super) fn from_image(image: ImageInspect) -> Option<Self> {
        Some(Self {
            id: image.id?,
            labels: image.config.and_then(|c| c.labels).unwrap_or_default(),
        })
    }

    /// Returns the version of replicas that run this image, called `name`.
    pub(super) fn into_version(self, name: &str) -> ImageVersion {
        ImageVersion {
            name: name.to_owned(),
            is_ours: self.labels.get(TITLE_LABEL).map(String::as_str) == Some(OUR_TITLE),
            id: self.id,
        }
    }
}
