//! The check of an update of the service: only what orders change may differ from the service as
//! it is.
//!
//! Pure.

use serde_json::Value;

/// Prefix of the labels of balancers.
const OWN_LABELS: &str = "ringmaster.";

/// Checks an update of `service` to this specification, made for this version. Returns the image
/// if the update brings another one.
///
/// # Errors
/// The reason of the refusal.
pub(super) fn check_update(
    service: &Value,
    version: &str,
    spec: &Value,
) -> Result<Option<String>, &'static str> {
    // For another version the engine may compare with another service than this one.
    let index = service["Version"]["Index"].as_u64();
    if index.map(|index| index.to_string()).as_deref() != Some(version) {
        return Err("update out of sequence");
    }
    let former = &service["Spec"];
    if without_orders(former) != without_orders(spec) {
        return Err(
            "only the number of replicas, the image, ForceUpdate and labels ringmaster.… may differ",
        );
    }
    let image = |spec: &Value| spec["TaskTemplate"]["ContainerSpec"]["Image"].clone();
    match (image(former), image(spec)) {
        (former, image) if former == image => Ok(None),
        (_, Value::String(image)) => Ok(Some(image)),
        _ => Err("the image is no name"),
    }
}

/// Returns a specification without all that orders change.
fn without_orders(spec: &Value) -> Value {
    let mut rest = spec.clone();
    let remove = |path: &str, key: &str, rest: &mut Value| {
        if let Some(Value::Object(object)) = rest.pointer_mut(path) {
            object.remove(key);
        }
    };
    remove("/Mode/Replicated", "Replicas", &mut rest);
    remove("/TaskTemplate", "ForceUpdate", &mut rest);
    remove("/TaskTemplate/ContainerSpec", "Image", &mut rest);
    if let Some(Value::Object(labels)) = rest.get_mut("Labels") {
        labels.retain(|name, _| !name.starts_with(OWN_LABELS));
    }
    // No labels, in either form.
    if rest["Labels"].is_null() || rest["Labels"] == serde_json::json!({}) {
        remove("", "Labels", &mut rest);
    }
    rest
}

#[cfg(test)]
mod tests;
