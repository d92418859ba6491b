//! The judgement of a call: its rule, its parameters, its body and its object, in this order.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::http::request::Parts;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::body::{BodyError, read_whole};
use super::call::{Call, RuledCall};
use super::conditions::{BodyCheck, Caller, Check};
use super::engine::{EngineCall, REGISTRY_AUTH};
use super::objects::Objects;
use super::refusal::Refusal;
use super::rules::Rule;
use super::service_update::check_update;
use crate::fleet::{ContainerSettings, FLEET_LABEL, check_create, lock_name, with_tag};

/// Longest body of a request, in bytes.
pub(super) const MAX_BODY: usize = 1024 * 1024;
/// Time limit of a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest number of digits of a number.
const MAX_DIGITS: usize = 10;

/// The judge of all calls.
#[derive(Clone, Debug)]
pub(super) struct Judge {
    pub(super) containers: ContainerSettings,
    /// Service, in place of containers.
    pub(super) service: Option<String>,
    pub(super) objects: Objects,
}

impl Judge {
    /// Returns the call to make in place of a request.
    ///
    /// # Errors
    /// The refusal.
    pub(super) async fn judge(&self, head: &Parts, body: Body) -> Result<EngineCall, Refusal> {
        if head.headers.contains_key(header::UPGRADE) {
            return Err(Refusal::denied("no call here needs an upgrade"));
        }
        let call = Call::read(&head.method, &head.uri).map_err(Refusal::denied)?;
        let caller = match self.service {
            Some(_) => Caller::Service,
            None => Caller::Containers,
        };
        let ruled = call.find_rule(caller).map_err(Refusal::denied)?;
        self.check_query(&call, ruled.rule)?;
        let body = read_body(ruled.rule.body, body).await?;
        let object = self.objects.find(ruled.rule.object, ruled.object).await?;
        let body = self.check_body(&call, &ruled, &body).await?;
        let filters = self.service_filter();
        let fetched = call.checked(ruled.rule, Check::Image).map(with_tag);
        let replaced: &[(&str, &str)] = match (&fetched, &filters) {
            (Some(image), _) => &[("fromImage", image)],
            // The list has the specification of each service, and one of them counts.
            (None, Some(filters)) if ruled.rule.path == "/services" => &[("filters", filters)],
            _ => &[],
        };
        if let Some(tasks) = call.checked(ruled.rule, Check::TaskFilter) {
            self.objects.service(&service_of(tasks)?).await?;
        }
        let is_pull = fetched.is_some();
        tracing::debug!(
            "passes {} {}: {}",
            head.method,
            ruled.rule.path,
            ruled.rule.purpose
        );
        Ok(EngineCall {
            method: call.method().clone(),
            target: call.target(ruled.rule, &object, replaced),
            body,
            registry_auth: head.headers.get(REGISTRY_AUTH).filter(|_| is_pull).cloned(),
        })
    }

    fn service_filter(&self) -> Option<String> {
        let service = self.service.as_ref()?;
        Some(json!({"name": [service]}).to_string())
    }

    /// Checks the parameters of a call.
    fn check_query(&self, call: &Call, rule: &Rule) -> Result<(), Refusal> {
        for (name, check) in rule.query {
            let passes = match call.parameter(name) {
                None => !check.is_required(),
                Some(value) => self.passes(*check, value),
            };
            if !passes {
                return Err(Refusal::denied(format!("parameter {name} must be {check}")));
            }
        }
        Ok(())
    }

    /// Returns `true` if a value passes its check, as far as the value alone can tell.
    fn passes(&self, check: Check, value: &str) -> bool {
        let label = format!("{FLEET_LABEL}={}", self.containers.fleet);
        let is_json = |expected: Value| serde_json::from_str(value).ok() == Some(expected);
        match check {
            Check::Is(expected) => value == expected,
            Check::Number | Check::Version => {
                (1..=MAX_DIGITS).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_digit())
            }
            Check::LockName => value == lock_name(&self.containers.fleet),
            Check::Image => self.objects.is_image_name(value),
            Check::FleetFilter => is_json(json!({"label": [label]})),
            Check::EventFilter => is_json(json!({"label": [label], "type": ["container"]})),
            // The body and the engine decide.
            Check::ContainerName | Check::TaskFilter => true,
        }
    }

    /// Checks a body, and returns the one to send.
    async fn check_body(
        &self,
        call: &Call,
        ruled: &RuledCall<'_>,
        body: &Bytes,
    ) -> Result<Bytes, Refusal> {
        match ruled.rule.body {
            BodyCheck::Empty => Ok(Bytes::new()),
            BodyCheck::Container => {
                let name = call.checked(ruled.rule, Check::ContainerName);
                self.check_container(name.unwrap_or_default(), &parse(body)?)
                    .await
            }
            BodyCheck::Service => {
                let version = call.checked(ruled.rule, Check::Version);
                let service = self.objects.service(ruled.object).await?;
                let spec = parse(body)?;
                let image = check_update(&service, version.unwrap_or_default(), &spec)
                    .map_err(Refusal::denied)?;
                if let Some(image) = image.filter(|image| !self.objects.is_image_name(image)) {
                    let sentence = format!("image {image} is not permitted (--allow-image)");
                    return Err(Refusal::Denied(sentence));
                }
                Ok(spec.to_string().into())
            }
        }
    }

    /// Checks the specification of a container, and returns it in its only form.
    async fn check_container(&self, name: &str, body: &Value) -> Result<Bytes, Refusal> {
        let checked = check_create(&self.containers, name, body).map_err(Refusal::denied)?;
        for image in checked.image_names.iter().chain([&checked.image_id]) {
            self.objects.image(image).await?;
        }
        if let Some(network) = &checked.network {
            self.objects.network(network).await?;
        }
        Ok(checked.body.to_string().into())
    }
}

/// Returns the service in the filter of a list of tasks, which must be that of the balancer.
fn service_of(filters: &str) -> Result<String, Refusal> {
    let found: Value = serde_json::from_str(filters).unwrap_or_default();
    let service = found["service"][0].as_str().unwrap_or_default();
    let expected = json!({"service": [service], "desired-state": ["running", "ready"]});
    let is_name = !service.is_empty() && service.bytes().all(|b| b.is_ascii_alphanumeric());
    match found == expected && is_name {
        true => Ok(service.to_owned()),
        false => Err(Refusal::denied(format!(
            "parameter filters must be {}",
            Check::TaskFilter
        ))),
    }
}

/// Reads a body that may be there; one that may not must have no byte.
async fn read_body(check: BodyCheck, body: Body) -> Result<Bytes, Refusal> {
    let is_empty = check == BodyCheck::Empty;
    let limit = if is_empty { 0 } else { MAX_BODY };
    let read = timeout(BODY_TIMEOUT, read_whole(body, limit)).await;
    match read.map_err(|_| Refusal::Incomplete)? {
        Ok(body) => Ok(body),
        Err(BodyError::TooLong) if is_empty => Err(Refusal::denied("this call has no body")),
        Err(BodyError::TooLong) => Err(Refusal::TooLong),
        Err(BodyError::Broken(_)) => Err(Refusal::Incomplete),
    }
}

fn parse(body: &[u8]) -> Result<Value, Refusal> {
    serde_json::from_slice(body).map_err(|_| Refusal::denied("its body is no JSON"))
}
