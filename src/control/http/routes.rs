//! The table of routes: which method and path ask for which command.
//!
//! What a path answers is what the text command answers with ` json`. `openapi.json` describes the same table
//! for programs, and a test compares the two. Adding a route is one more row here and its description there.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::routing::{MethodFilter, MethodRouter, on};

use super::request::{Said, admit, body};
use super::{Reply, events, files, own};
use crate::admin::{Kind, Order, Refusal, Target};
use crate::control::answer::{self, Outcome};
use crate::control::command::Command;
use crate::control::question::{self, Question};
use crate::control::{Context, Shared, dashboard};
use crate::peer::Effect;
use crate::roster::ReplicaName;

/// A method and a path, as the library writes it: `{name}` is one piece of any text.
pub(super) struct Row {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    answers: Answers,
}

/// How a row is answered.
enum Answers {
    /// By a command, for those who may give it.
    Command(fn(&Said<'_>) -> Result<Command, Refusal>),
    /// In its own way.
    Own(fn(MethodFilter) -> MethodRouter<Arc<Shared>>),
}

/// All of them.
pub(super) const ROWS: &[Row] = &[
    asks("/rep", |_| Ok(Command::Rep)),
    row(
        "POST",
        "/add",
        Answers::Command(|said| change(Kind::Add, said)),
    ),
    row(
        "DELETE",
        "/rm",
        Answers::Command(|said| change(Kind::Rm, said)),
    ),
    asks("/replicas", |_| Ok(Command::Show(None))),
    asks("/replicas/{name}", |said| {
        Ok(Command::Show(Some(name(said)?)))
    }),
    row(
        "POST",
        "/replicas/{name}/replace",
        Answers::Command(replace),
    ),
    row("POST", "/replicas/{name}/drain", Answers::Command(drain)),
    row("POST", "/replicas/{name}/ready", Answers::Command(ready)),
    row("POST", "/scale", Answers::Command(scale)),
    asks("/ring", ring),
    row("POST", "/ring", Answers::Command(set_ring)),
    asks("/bound", |_| Ok(Command::Ask(Question::Bound))),
    row("POST", "/bound", Answers::Command(set_bound)),
    asks("/where/{key}", |said| {
        Ok(Command::Ask(
            Question::whose(said.piece(1)).map_err(Refusal::bad)?,
        ))
    }),
    asks("/plan", plan),
    asks("/stats", |_| Ok(Command::Stats)),
    row(
        "GET",
        "/events",
        Answers::Own(|method| on(method, events::serve)),
    ),
    row("GET", "/help", Answers::Own(|method| on(method, own::help))),
    row(
        "GET",
        "/openapi.json",
        Answers::Own(|method| on(method, own::openapi)),
    ),
    row(
        "GET",
        "/healthz",
        Answers::Own(|method| on(method, own::healthz)),
    ),
    row(
        "GET",
        "/readyz",
        Answers::Own(|method| on(method, own::readyz)),
    ),
    row(
        "GET",
        "/metrics",
        Answers::Own(|method| on(method, own::metrics)),
    ),
    row("GET", "/", Answers::Own(|method| on(method, files::serve))),
    row(
        "GET",
        dashboard::FOLDER,
        Answers::Own(|method| on(method, files::serve)),
    ),
];

/// The description of the table, in the language of OpenAPI 3.1.
pub(in crate::control) const OPENAPI: &str = include_str!("../openapi.json");

const fn row(method: &'static str, path: &'static str, answers: Answers) -> Row {
    Row {
        method,
        path,
        answers,
    }
}

const fn asks(path: &'static str, read: fn(&Said<'_>) -> Result<Command, Refusal>) -> Row {
    row("GET", path, Answers::Command(read))
}

/// What serves each path, `OPTIONS` included.
pub(super) fn by_path() -> BTreeMap<&'static str, MethodRouter<Arc<Shared>>> {
    let mut paths: BTreeMap<&'static str, MethodRouter<Arc<Shared>>> = BTreeMap::new();
    for row in ROWS {
        let served = paths.remove(row.path).unwrap_or_default();
        paths.insert(row.path, served.merge(row.serve()));
    }
    let with_options = |(path, served): (&'static str, MethodRouter<_>)| {
        let allow = allow(|row| row.path == path);
        let options = move || async move { ([(header::ALLOW, allow)], StatusCode::NO_CONTENT) };
        (path, served.on(MethodFilter::OPTIONS, options))
    };
    paths.into_iter().map(with_options).collect()
}

/// The methods that some path takes, as `Allow` lists them.
pub(super) fn all_methods() -> String {
    allow(|_| true)
}

fn allow(which: impl Fn(&Row) -> bool) -> String {
    let mut methods: Vec<&str> = Vec::new();
    for row in ROWS.iter().filter(|row| which(row)) {
        let also = (row.method == "GET").then_some("HEAD");
        for method in [row.method].into_iter().chain(also) {
            if !methods.contains(&method) {
                methods.push(method);
            }
        }
    }
    methods.push("OPTIONS");
    methods.join(",")
}

impl Row {
    fn serve(&self) -> MethodRouter<Arc<Shared>> {
        let method = Method::from_bytes(self.method.as_bytes());
        // The table is ours, and a test serves every row of it.
        let filter = method
            .ok()
            .and_then(|method| MethodFilter::try_from(method).ok());
        let filter = filter.unwrap_or(MethodFilter::GET);
        let reads = self.method == "GET";
        let path = self.path.split("/{").next().unwrap_or(self.path);
        match self.answers {
            Answers::Own(serve) => serve(filter),
            Answers::Command(read) => on(
                filter,
                move |State(shared): State<Arc<Shared>>, request: Request| async move {
                    let effect = if reads {
                        Effect::Reads
                    } else {
                        Effect::Changes
                    };
                    command(&shared.context, request, path, effect, read).await
                },
            ),
        }
    }
}

/// Answers by a command.
async fn command(
    context: &Context,
    request: Request,
    path: &str,
    effect: Effect,
    read: fn(&Said<'_>) -> Result<Command, Refusal>,
) -> Result<Reply, Reply> {
    let peer = admit(context, &request, path, effect)?;
    let uri = request.uri().clone();
    let body = match effect {
        Effect::Reads => Default::default(),
        Effect::Changes => body(request, context.limits.body_timeout).await?,
    };
    let said = Said::new(uri.path(), uri.query().unwrap_or_default(), &body);
    let command = read(&said).map_err(refused)?;
    Ok(reply(answer::carry_out(command, peer, context).await))
}

/// A refusal in its status.
pub(super) fn refused(refusal: Refusal) -> Reply {
    reply(Err(refusal))
}

/// What a command brought, as HTTP has it.
pub(super) fn reply(outcome: Outcome) -> Reply {
    match outcome {
        Ok(answer) => Reply(200, answer.json()),
        Err(refusal) => Reply(refusal.status, crate::admin::failure(&refusal.sentence)),
    }
}

fn change(kind: Kind, said: &Said<'_>) -> Result<Command, Refusal> {
    Ok(Command::Change(kind, kind.parse(said.body())?))
}

fn name(said: &Said<'_>) -> Result<ReplicaName, Refusal> {
    // What is no text is no name, and may be shown with a sign for what it is not.
    let piece = said.piece(1);
    let name = String::from_utf8_lossy(&piece).parse::<ReplicaName>();
    name.map_err(|err| Refusal::bad(err.to_string()))
}

/// `all` stands for everybody, as in the text command; it is nobody's name.
fn replace(said: &Said<'_>) -> Result<Command, Refusal> {
    let target = match &*said.piece(1) {
        b"all" => Target::All,
        _ => Target::One(name(said)?),
    };
    Ok(Command::Fleet(Order::Replace(target)))
}

fn drain(said: &Said<'_>) -> Result<Command, Refusal> {
    Ok(Command::Fleet(Order::Drain(name(said)?)))
}

fn ready(said: &Said<'_>) -> Result<Command, Refusal> {
    Ok(Command::Fleet(Order::Ready(name(said)?)))
}

/// `{"n":5}`
fn scale(said: &Said<'_>) -> Result<Command, Refusal> {
    let n = said.value("n")?.as_u64();
    let n = n.and_then(|n| usize::try_from(n).ok());
    let n = n.ok_or_else(|| Refusal::bad("n is not a whole number"))?;
    Ok(Command::Fleet(Order::Scale(n)))
}

/// Nothing, or `?points=720`
fn ring(said: &Said<'_>) -> Result<Command, Refusal> {
    let [points] = said.fields(["points"])?;
    let question = points.map_or(Ok(Question::Ring), |points| Question::picture(&points));
    Ok(Command::Ask(question.map_err(Refusal::bad)?))
}

/// `{"ring":"classic"}`
fn set_ring(said: &Said<'_>) -> Result<Command, Refusal> {
    let value = said.value("ring")?;
    let spec = value.as_str();
    let spec = spec.ok_or_else(|| Refusal::bad("ring is not a string"))?;
    let spec = question::typed(spec).map_err(Refusal::bad)?;
    Ok(Command::Switch(Order::Ring(spec), Question::Ring))
}

/// `{"bound":1.03}`
fn set_bound(said: &Said<'_>) -> Result<Command, Refusal> {
    let value = said.value("bound")?;
    if !value.is_number() {
        return Err(Refusal::bad("bound is not a number"));
    }
    let bound = question::typed(&value.to_string()).map_err(Refusal::bad)?;
    Ok(Command::Switch(Order::Bound(bound), Question::Bound))
}

/// `?add=2&names=S4,S5`, `?rm=1`, `?ring=SPEC` or `?bound=X`
fn plan(said: &Said<'_>) -> Result<Command, Refusal> {
    let [add, rm, ring, bound, names] = said.fields(["add", "rm", "ring", "bound", "names"])?;
    let changes = [("add", add), ("rm", rm), ("ring", ring), ("bound", bound)];
    let mut asked = changes
        .iter()
        .filter_map(|(word, value)| Some((*word, value.as_deref()?)));
    let (Some((word, value)), None) = (asked.next(), asked.next()) else {
        return Err(Refusal::bad("ask for one of add, rm, ring and bound"));
    };
    let names = names.as_deref().map(|names| names.split(','));
    if names.is_some() && !matches!(word, "add" | "rm") {
        return Err(Refusal::bad("names go with add and rm alone"));
    }
    let mut words = vec![word, value];
    words.extend(names.into_iter().flatten());
    question::planned(&words).map_err(Refusal::bad)
}
