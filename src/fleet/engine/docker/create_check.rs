//! The check of a request to create a container: its body must be the one that a balancer with
//! these settings sends.
//!
//! Pure. The names and labels of the container are taken from the body, and the specification is
//! made of them and of the settings once more. So a field that the specification does not have is
//! a difference, also a field of a newer engine. The caller sends the specification and never the
//! bytes that it got: the engine reads keys in any case, and merges a key that is there twice.

use bollard::models::ContainerCreateBody;
use serde_json::Value;

use super::settings::ContainerSettings;
use super::spec::{
    BUNDLED, ContainerTemplate, IMAGE_LABEL, INSTEAD_OF_LABEL, NAME_LABEL, OWNER_LABEL, SEAT_LABEL,
    SEATS_LABEL, STANDBY,
};
use super::wanted_seats::WantedSeats;
use crate::fleet::version::ImageVersion;
use crate::ring::Seat;
use crate::roster::ReplicaName;

/// Parts of a specification, and the flags that they come from. The first that fits counts.
const FLAGS: [(&str, &str); 18] = [
    ("HostConfig.Binds", "--replica-volume"),
    ("HostConfig.CapAdd", "--replica-cap-add"),
    ("HostConfig.LogConfig.Type", "--replica-log-driver"),
    ("HostConfig.LogConfig", "--replica-log-opt"),
    ("HostConfig.Memory", "--replica-memory"),
    ("HostConfig.NanoCpus", "--replica-cpus"),
    ("HostConfig.PidsLimit", "--replica-pids"),
    ("HostConfig.ReadonlyRootfs", "--replica-read-only"),
    ("HostConfig.Tmpfs", "--replica-tmpfs"),
    ("HostConfig.NetworkMode", "--network"),
    ("NetworkingConfig", "--network"),
    ("Labels.ringmaster.fleet", "--fleet"),
    ("Labels", "--replica-label"),
    ("Env", "--replica-env, --replica-port"),
    ("Cmd", "--replica-command"),
    ("StopSignal", "--replica-stop-signal"),
    ("User", "--replica-user"),
    ("Image", "--image"),
];

/// A container that may be created once the engine has confirmed what it names.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedContainer {
    /// Body to send in place of the one that was checked.
    pub body: Value,
    /// ID of the image.
    pub image_id: String,
    /// Names of images in the labels.
    pub image_names: Vec<String>,
    /// Network of a replica; `None` for the lock, which has none.
    pub network: Option<String>,
}

/// Checks the body of a request to create the container `name`.
///
/// # Errors
/// A sentence that names the first difference, and the flag that it comes from.
pub fn check_create(
    settings: &ContainerSettings,
    name: &str,
    body: &Value,
) -> Result<CheckedContainer, String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let label = |key: &str| text(&body["Labels"][key]);
    let image_id = text(&body["Image"]).ok_or("Image is missing")?;
    let owner = label(OWNER_LABEL);
    let image = ImageVersion {
        name: label(IMAGE_LABEL).unwrap_or_else(|| image_id.clone()),
        id: image_id.clone(),
        is_ours: body["Entrypoint"] == serde_json::json!([BUNDLED]),
    };
    let instead_of = label(INSTEAD_OF_LABEL);
    let own_image = ImageVersion {
        name: instead_of.clone().unwrap_or_else(|| image.name.clone()),
        ..image.clone()
    };
    let network = text(&body["HostConfig"]["NetworkMode"]).unwrap_or_default();
    let network = (network, has_aliases(body));
    let template = ContainerTemplate::new(settings, own_image, network);
    let (expected, names) = match &owner {
        Some(owner) => lock(&template, owner, label(SEATS_LABEL))?,
        None => replica(&template, &image, label(SEAT_LABEL), label(NAME_LABEL))?,
    };
    if !names.iter().any(|expected| expected == name) {
        return Err(format!(
            "a container of these labels is called {}",
            names[0]
        ));
    }
    let expected = serde_json::to_value(expected).map_err(|err| err.to_string())?;
    if let Some(path) = difference(&expected, body, "") {
        return Err(differs(&path));
    }
    Ok(CheckedContainer {
        body: expected,
        image_id,
        image_names: label(IMAGE_LABEL).into_iter().chain(instead_of).collect(),
        network: owner.is_none().then_some(template.network),
    })
}

/// Returns the specification of the lock, and its names.
fn lock(
    template: &ContainerTemplate,
    owner: &str,
    seats: Option<String>,
) -> Result<(ContainerCreateBody, Vec<String>), String> {
    let seats: Option<WantedSeats> = seats.and_then(|seats| seats.parse().ok());
    let seats = seats.ok_or("the lock names no seats")?;
    let names = vec![template.lock_name(), template.next_lock_name()];
    Ok((template.lock(owner, &seats), names))
}

/// Returns the specification of a replica, and its only name.
fn replica(
    template: &ContainerTemplate,
    image: &ImageVersion,
    seat: Option<String>,
    name: Option<String>,
) -> Result<(ContainerCreateBody, Vec<String>), String> {
    let seat = match seat.as_deref() {
        Some(STANDBY) => None,
        Some(number) => Some(Seat(number.parse().map_err(|_| "the seat is no number")?)),
        None => return Err(format!("it has no label {SEAT_LABEL}")),
    };
    let name: Option<ReplicaName> = name.and_then(|name| name.parse().ok());
    let name = name.ok_or("the replica has no valid name")?;
    let names = vec![template.container_name(name.as_ref())];
    Ok((template.replica(seat, &name, image), names))
}

/// Returns `true` if the container gets the name of its replica as an alias.
fn has_aliases(body: &Value) -> bool {
    let endpoints = body["NetworkingConfig"]["EndpointsConfig"].as_object();
    let mut endpoints = endpoints.into_iter().flat_map(|all| all.values());
    endpoints.any(|endpoint| endpoint["Aliases"].is_array())
}

/// Returns the path to the first value that only one of the two has, or that differs.
fn difference(expected: &Value, found: &Value, path: &str) -> Option<String> {
    let (Value::Object(expected), Value::Object(found)) = (expected, found) else {
        return (expected != found).then(|| path.to_owned());
    };
    let keys = found.keys().chain(expected.keys());
    let mut paths = keys.filter_map(|key| {
        let path = match path {
            "" => key.clone(),
            path => format!("{path}.{key}"),
        };
        match (expected.get(key), found.get(key)) {
            (Some(expected), Some(found)) => difference(expected, found, &path),
            _ => Some(path),
        }
    });
    paths.next()
}

/// Returns the sentence about a difference.
fn differs(path: &str) -> String {
    let flag = FLAGS.iter().find(|(part, _)| path.starts_with(part));
    match flag {
        Some((_, flag)) => format!(
            "{path} is not as the flags of this engine-proxy make it; give it the {flag} of the balancer"
        ),
        None => format!("{path} is not as a balancer makes it"),
    }
}

#[cfg(test)]
mod tests;
