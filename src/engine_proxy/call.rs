//! A call as its request line has it: method, path and query, each in its only form.
//!
//! Pure. The path may have no escape, no empty part and no dots that lead elsewhere, and the query
//! no key twice. The request to the engine is written from these parts, so that both ends read the
//! same call.

use axum::http::{Method, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::conditions::{Caller, Check};
use super::rules::{RULES, Rule};

/// Largest number of digits in a part of the API's version.
const MAX_VERSION_DIGITS: usize = 3;

/// Bytes of a value that are escaped (RFC 3986 §2.3 has those that need not be).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_');

/// A call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    method: Method,
    /// `/v1.41`, or nothing.
    version: String,
    /// Path without its version.
    path: String,
    query: Vec<(String, String)>,
}

/// A call with its rule.
#[derive(Clone, Debug)]
pub(super) struct RuledCall<'a> {
    pub(super) rule: &'static Rule,
    /// Name or ID of the object; empty if the rule has none.
    pub(super) object: &'a str,
}

impl Call {
    /// Reads a request line.
    ///
    /// # Errors
    /// The reason why it is refused.
    pub(super) fn read(method: &Method, uri: &Uri) -> Result<Self, &'static str> {
        if uri.scheme().is_some() || uri.authority().is_some() {
            return Err("the target is not a path");
        }
        let (version, path) = split_version(uri.path());
        let legal = |b: u8| b.is_ascii_alphanumeric() || b"/_.-:@".contains(&b);
        if !path.bytes().all(legal) {
            return Err("the path has an escape or another byte that no path here needs");
        }
        let parts = path.strip_prefix('/').ok_or("the target is not a path")?;
        if parts.split('/').any(|part| ["", ".", ".."].contains(&part)) {
            return Err("the path has an empty part or leads elsewhere");
        }
        Ok(Self {
            method: method.clone(),
            version: version.to_owned(),
            path: path.to_owned(),
            query: read_query(uri.query().unwrap_or_default())?,
        })
    }

    /// Finds the rule of this call.
    ///
    /// # Errors
    /// The reason why there is none.
    pub(super) fn find_rule(&self, caller: Caller) -> Result<RuledCall<'_>, String> {
        let serves = |rule: &&Rule| [Caller::Any, caller].contains(&rule.caller);
        let mut fitting = RULES.iter().filter(serves).filter_map(|rule| {
            let object = object_in(&self.path, rule.path)?;
            (self.method == rule.method).then_some(RuledCall { rule, object })
        });
        let ruled = fitting.next().ok_or("no rule permits it")?;
        let known = |key: &str| ruled.rule.query.iter().any(|(name, _)| *name == key);
        match self.query.iter().find(|(key, _)| !known(key)) {
            Some((key, _)) => Err(format!("no rule permits the parameter {key}")),
            None => Ok(ruled),
        }
    }

    /// Returns the value of a parameter.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Returns the value of the parameter that has this check.
    pub(super) fn checked(&self, rule: &Rule, check: Check) -> Option<&str> {
        let (name, _) = rule.query.iter().find(|(_, found)| *found == check)?;
        self.parameter(name)
    }

    /// Returns the method.
    pub(super) fn method(&self) -> &Method {
        &self.method
    }

    /// Returns the target of the request to the engine, with `object` in its place, and with the
    /// parameters in `replaced` in place of those of the same name.
    pub(super) fn target(&self, rule: &Rule, object: &str, replaced: &[(&str, &str)]) -> String {
        let path = match (rule.path.split_once('{'), rule.path.split_once('}')) {
            (Some((before, _)), Some((_, after))) => format!("{before}{object}{after}"),
            _ => rule.path.to_owned(),
        };
        let own = self.query.iter();
        let own = own.map(|(key, value)| (key.as_str(), value.as_str()));
        let own = own.filter(|(key, _)| !replaced.iter().any(|(name, _)| name == key));
        let pairs = own.chain(replaced.iter().copied());
        let pairs: Vec<String> = pairs
            .map(|(key, value)| format!("{key}={}", encode(value)))
            .collect();
        let mark = if pairs.is_empty() { "" } else { "?" };
        format!("{}{path}{mark}{}", self.version, pairs.join("&"))
    }
}

/// Returns a value as a query has it.
pub(super) fn encode(value: &str) -> String {
    utf8_percent_encode(value, ESCAPED).to_string()
}

/// Splits a path into the version of the API, such as `/v1.41`, and the rest.
fn split_version(path: &str) -> (&str, &str) {
    let digits = |text: &str| {
        (1..=MAX_VERSION_DIGITS).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
    };
    let rest = path.strip_prefix("/v").unwrap_or_default();
    let end = rest.find('/').unwrap_or(rest.len());
    match rest[..end].split_once('.') {
        Some((major, minor)) if digits(major) && digits(minor) => path.split_at("/v".len() + end),
        _ => ("", path),
    }
}

/// Returns the object in a path that has the form of `pattern`, or nothing in a path without an
/// object. The name of an image may have slashes.
fn object_in<'a>(path: &'a str, pattern: &str) -> Option<&'a str> {
    let Some((before, rest)) = pattern.split_once('{') else {
        return (path == pattern).then_some("");
    };
    let (kind, after) = rest.split_once('}')?;
    let object = path.strip_prefix(before)?.strip_suffix(after)?;
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    let is_one = kind == "image" || object.bytes().all(is_name);
    (!object.is_empty() && is_one).then_some(object)
}

/// Splits a query into its parameters, without their escapes.
fn read_query(query: &str) -> Result<Vec<(String, String)>, &'static str> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for pair in query.split('&').filter(|_| !query.is_empty()) {
        let (key, value) = pair.split_once('=').ok_or("a parameter has no value")?;
        if key.is_empty() || !key.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err("a parameter has no plain name");
        }
        if pairs.iter().any(|(other, _)| other == key) {
            return Err("a parameter is there twice");
        }
        let value = value.replace('+', " ");
        let value = percent_decode_str(&value).decode_utf8();
        let value = value.map_err(|_| "a parameter is not UTF-8")?;
        pairs.push((key.to_owned(), value.into_owned()));
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests;
