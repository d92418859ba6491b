//! The image of the replicas: found in the engine, or pulled from its registry.
//!
//! The engine pulls. Credentials come from the configuration of the docker client
//! (`~/.docker/config.json`, its helpers included), as for `docker pull`.

use anyhow::bail;
use bollard::auth::DockerCredentials;
use docker_credential::{CredentialRetrievalError, DockerCredential};
use tokio::task::spawn_blocking;

use super::api::{Api, ApiError};
use super::image_types::ImageInfo;
use super::settings::PullPolicy;
use super::spec::missing_image;

/// Key of the credentials of Docker Hub in the configuration of the docker client.
const HUB: &str = "https://index.docker.io/v1/";

/// Returns the image of this name, pulled as `pull` says.
///
/// # Errors
/// The engine does not answer, or has no such image even after the pull.
pub(super) async fn find_image(
    api: &Api,
    name: &str,
    pull: PullPolicy,
) -> anyhow::Result<ImageInfo> {
    if pull == PullPolicy::Always
        && let Err(err) = pull_image(api, name).await
    {
        bail!("cannot pull image {name} (--pull always): {err}");
    }
    match api.image(name).await {
        Ok(image) => return Ok(image),
        Err(ApiError::Missing(_)) if pull == PullPolicy::Missing => {}
        Err(ApiError::Missing(_)) => bail!("{}", missing_image(name)),
        Err(err) => bail!("cannot inspect image {name}: {err}"),
    }
    if let Err(err) = pull_image(api, name).await {
        bail!("{}; pulling it failed: {err}", missing_image(name));
    }
    match api.image(name).await {
        Ok(image) => Ok(image),
        Err(err) => bail!("cannot inspect image {name} after it was pulled: {err}"),
    }
}

async fn pull_image(api: &Api, name: &str) -> Result<(), ApiError> {
    let registry = registry_of(name).to_owned();
    tracing::info!("pulling image {name}");
    // A helper of the docker client is a program that may take a while.
    let credentials = spawn_blocking(move || credentials(&registry)).await;
    api.pull(&with_tag(name), credentials.unwrap_or_default())
        .await
}

/// Returns the credentials for a registry; `None` if there are none.
fn credentials(registry: &str) -> Option<DockerCredentials> {
    let found = match docker_credential::get_credential(registry) {
        Ok(found) => found,
        Err(
            CredentialRetrievalError::ConfigNotFound
            | CredentialRetrievalError::NoCredentialConfigured,
        ) => return None,
        Err(err) => {
            tracing::warn!("cannot read the credentials for {registry}, pulling without: {err}");
            return None;
        }
    };
    let serveraddress = Some(registry.to_owned());
    Some(match found {
        DockerCredential::UsernamePassword(username, password) => DockerCredentials {
            username: Some(username),
            password: Some(password),
            serveraddress,
            ..Default::default()
        },
        DockerCredential::IdentityToken(token) => DockerCredentials {
            identitytoken: Some(token),
            serveraddress,
            ..Default::default()
        },
    })
}

/// Returns the registry of an image: its first part, if that can be the name of a host.
fn registry_of(image: &str) -> &str {
    match image.split_once('/') {
        Some(("docker.io" | "index.docker.io" | "registry-1.docker.io", _)) => HUB,
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => HUB,
    }
}

/// Adds the tag `latest` to a name without a tag or a digest: the engine would pull all tags.
#[must_use]
pub fn with_tag(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or(image);
    match last.contains([':', '@']) {
        true => image.to_owned(),
        false => format!("{image}:latest"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_is_the_first_part_if_that_is_a_host() {
        for (image, registry) in [
            ("nginx", HUB),
            ("library/nginx:1", HUB),
            ("docker.io/me/app:1", HUB),
            ("ghcr.io/a/b", "ghcr.io"),
            ("localhost/a", "localhost"),
            ("10.0.0.1:5000/a:2", "10.0.0.1:5000"),
        ] {
            assert_eq!(registry_of(image), registry, "{image}");
        }
    }

    #[test]
    fn a_name_without_a_tag_gets_one() {
        for (image, tagged) in [
            ("nginx", "nginx:latest"),
            ("r:5000/nginx", "r:5000/nginx:latest"),
            ("r:5000/nginx:1", "r:5000/nginx:1"),
            ("a@sha256:0", "a@sha256:0"),
        ] {
            assert_eq!(with_tag(image), tagged);
        }
    }
}
