//! The versions of the containers that exist already: the images that they run.
//!
//! An image that was ordered outlives its balancer: containers that got it by order keep it, and
//! while the settings are the same, new replicas get it as well.

use std::collections::HashMap;

use super::api::Api;
use super::api_types::ContainerInfo;
use super::found_container::FoundContainer;
use crate::fleet::version::{ImageVersion, Program, Version};

/// Versions by the ID of their image, and the image of the settings.
#[derive(Debug)]
pub(super) struct FoundVersions<'a> {
    api: &'a Api,
    configured: &'a ImageVersion,
    known: HashMap<String, Option<Version>>,
}

impl<'a> FoundVersions<'a> {
    /// Knows the image of the settings.
    pub(super) fn new(api: &'a Api, configured: &'a ImageVersion) -> Self {
        let version = Version::new(Program::Image(configured.clone()));
        Self {
            api,
            configured,
            known: HashMap::from([(configured.id.clone(), Some(version))]),
        }
    }

    /// Returns the version that a container runs; `None` if the engine cannot tell its image.
    pub(super) async fn of(&mut self, container: &ContainerInfo) -> Option<Version> {
        let id = &container.image;
        if let Some(known) = self.known.get(id) {
            return known.clone();
        }
        let name = container.labels.image.as_deref().unwrap_or(id);
        let version = match self.api.image(id).await {
            Ok(image) => Some(Version::new(Program::Image(image.into_version(name)))),
            Err(err) => {
                let configured = &self.configured.name;
                tracing::warn!(
                    "container {} is replaced by one of image {configured} when it ends, because its own image cannot be inspected: {err}",
                    container.name
                );
                None
            }
        };
        self.known.insert(id.clone(), version.clone());
        version
    }
}

/// Returns the version of new replicas: that of the settings, or the one that all replicas got by
/// order in its place.
pub(super) fn version_of_new(found: &[FoundContainer], configured: &ImageVersion) -> Version {
    let of_settings = Version::new(Program::Image(configured.clone()));
    let Some(ordered) = ordered_version(found, configured) else {
        return of_settings;
    };
    tracing::info!("new replicas run {ordered}, as it was ordered in place of {of_settings}");
    ordered
}

/// Returns the version that all containers in seats got by order, in place of the `configured`
/// image; `None` if there is no such version.
fn ordered_version(found: &[FoundContainer], configured: &ImageVersion) -> Option<Version> {
    let mut seated = found.iter().filter(|found| found.seat.is_some());
    let is_ordered = |found: &FoundContainer| found.instead_of.as_ref() == Some(&configured.name);
    let first = seated.next().filter(|first| is_ordered(first))?;
    let version = first.version.clone()?;
    let is_same =
        |found: &FoundContainer| is_ordered(found) && found.version.as_ref() == Some(&version);
    seated.all(is_same).then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::engine::docker::found_container::FoundState;
    use crate::ring::Seat;

    fn image(name: &str) -> ImageVersion {
        ImageVersion {
            name: name.to_owned(),
            id: format!("sha256:{name}"),
            is_ours: false,
        }
    }

    fn found(seat: u32, runs: &str, instead_of: &str) -> FoundContainer {
        FoundContainer {
            container: format!("{seat:064x}").parse().unwrap(),
            seat: (seat > 0).then_some(Seat(seat)),
            seat_is_from_log: false,
            name: format!("S{seat}").parse().unwrap(),
            state: FoundState::Ended(String::new()),
            version: Some(Version::new(Program::Image(image(runs)))),
            instead_of: (!instead_of.is_empty()).then(|| instead_of.to_owned()),
            started: None,
            created: 0,
        }
    }

    #[test]
    fn an_ordered_image_stays_as_long_as_the_settings_are_the_same() {
        let ordered = |found: &[FoundContainer], configured| {
            let version = ordered_version(found, &image(configured));
            version.map(|version| version.to_string())
        };
        let both = [found(1, "b", "a"), found(2, "b", "a")];
        assert_eq!(ordered(&both, "a").as_deref(), Some("b@b"));
        assert_eq!(ordered(&both, "c"), None, "the settings have changed");
        let canary = [found(1, "b", "a"), found(2, "a", "")];
        assert_eq!(ordered(&canary, "a"), None);
        let two = [found(1, "b", "a"), found(2, "c", "a")];
        assert_eq!(ordered(&two, "a"), None);
        let with_standby = [found(0, "a", ""), found(2, "b", "a")];
        assert_eq!(ordered(&with_standby, "a").as_deref(), Some("b@b"));
        assert_eq!(ordered(&[], "a"), None);
    }
}
