//! The settings as a report: `show config`. Each has the value that counts and its source.
//!
//! Ring, bound and the number of replicas may have changed since the start, by a command or at a
//! takeover, so they are read again for each report.

use std::path::Path;

use serde_json::{Value, json};

use super::context::ControlContext;
use super::ring_report::Report;
use crate::settings::{Origin, Setting, Settings};

/// Reports all settings.
pub(super) fn report(context: &ControlContext) -> Report {
    let mut settings = Settings::clone(&context.settings);
    let roster = context.roster.latest();
    settings.set_effective("ring", roster.ring.spec());
    settings.set_effective("bound", roster.bound);
    if !context.sources.has_fixed_backends() {
        let counts = (context.sources.fleet_counts)();
        settings.set_effective("replicas", counts.wanted);
    }
    let file = settings.file.as_deref().map(Path::to_string_lossy);
    let all: Vec<Value> = settings.all.iter().map(to_json).collect();
    (lines(&settings.all), json!({"file": file, "settings": all}))
}

/// Returns a line for each setting, with aligned columns.
fn lines(settings: &[Setting]) -> Vec<String> {
    let head = ["SETTING", "SOURCE", "VALUE"].map(str::to_owned);
    let row = |setting: &Setting| {
        let value = |values: Vec<String>| match values.is_empty() {
            true => "-".to_owned(),
            false => values.join(" "),
        };
        let mut shown = value(setting.shown());
        if let Some(replaced) = setting.replaced().filter(|values| !values.is_empty()) {
            shown += &format!(" (configured: {})", value(replaced));
        }
        [setting.name.clone(), source(&setting.origin), shown]
    };
    let rows: Vec<[String; 3]> = [head].into_iter().chain(settings.iter().map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let (name, source) = (width(0).unwrap_or(0), width(1).unwrap_or(0));
    let line = |[a, b, c]: &[String; 3]| format!("{a:name$}  {b:source$}  {c}");
    rows.iter().map(line).collect()
}

/// Returns the source in a word: `default`, `flag`, the variable, or file and line.
fn source(origin: &Origin) -> String {
    match origin {
        Origin::Default => "default".to_owned(),
        Origin::Flag => "flag".to_owned(),
        Origin::Variable(name) => name.clone(),
        Origin::File(path, at) => format!("{}:{}", path.display(), at.line),
    }
}

fn to_json(setting: &Setting) -> Value {
    let value = |mut values: Vec<String>| match setting.is_list {
        true => Value::from(values),
        false => values.pop().map_or(Value::Null, Value::from),
    };
    let mut json = json!({"name": setting.name, "value": value(setting.shown())});
    json["source"] = Value::from(match &setting.origin {
        Origin::Default => "default",
        Origin::Flag => "flag",
        Origin::Variable(_) => "variable",
        Origin::File(..) => "file",
    });
    match &setting.origin {
        Origin::Default | Origin::Flag => {}
        Origin::Variable(name) => json["variable"] = Value::from(name.as_str()),
        Origin::File(_, at) => {
            json["line"] = Value::from(at.line);
            json["column"] = Value::from(at.column);
        }
    }
    if let Some(replaced) = setting.replaced().filter(|values| !values.is_empty()) {
        json["configured"] = value(replaced);
    }
    json
}
