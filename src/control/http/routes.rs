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
use super::{Reply, assets, events, parse, probes};
use crate::access::AccessKind;
use crate::control::command::Command;
use crate::control::execute::{self, Outcome};
use crate::control::ring_query::Question;
use crate::control::{Context, Shared, dashboard};
use crate::orders::{ChangeKind, OrderError};

/// A method and a path, as the library writes it: `{name}` is one piece of any text.
pub(super) struct Row {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    answers: Answers,
}

/// How a row is answered.
enum Answers {
    /// By a command, for those who may give it.
    Command(fn(&Said<'_>) -> Result<Command, OrderError>),
    /// In its own way.
    Own(fn(MethodFilter) -> MethodRouter<Arc<Shared>>),
}

/// All of them.
pub(super) const ROWS: &[Row] = &[
    asks("/rep", |_| Ok(Command::Rep)),
    row(
        "POST",
        "/add",
        Answers::Command(|said| parse::change(ChangeKind::Add, said)),
    ),
    row(
        "DELETE",
        "/rm",
        Answers::Command(|said| parse::change(ChangeKind::Rm, said)),
    ),
    asks("/replicas", |_| Ok(Command::Show(None))),
    asks("/replicas/{name}", |said| {
        Ok(Command::Show(Some(parse::name(said)?)))
    }),
    row(
        "POST",
        "/replicas/{name}/replace",
        Answers::Command(parse::replace),
    ),
    row(
        "POST",
        "/replicas/{name}/drain",
        Answers::Command(parse::drain),
    ),
    row(
        "POST",
        "/replicas/{name}/ready",
        Answers::Command(parse::ready),
    ),
    row("POST", "/scale", Answers::Command(parse::scale)),
    asks("/ring", parse::ring),
    row("POST", "/ring", Answers::Command(parse::set_ring)),
    asks("/bound", |_| Ok(Command::Ask(Question::Bound))),
    row("POST", "/bound", Answers::Command(parse::set_bound)),
    asks("/where/{key}", |said| {
        Ok(Command::Ask(
            Question::whose(said.piece(1)).map_err(OrderError::invalid)?,
        ))
    }),
    asks("/where", parse::whose),
    asks("/plan", parse::plan),
    asks("/stats", |_| Ok(Command::Stats)),
    row(
        "GET",
        "/events",
        Answers::Own(|method| on(method, events::serve)),
    ),
    row(
        "GET",
        "/help",
        Answers::Own(|method| on(method, probes::help)),
    ),
    row(
        "GET",
        "/openapi.json",
        Answers::Own(|method| on(method, probes::openapi)),
    ),
    row(
        "GET",
        "/healthz",
        Answers::Own(|method| on(method, probes::healthz)),
    ),
    row(
        "GET",
        "/readyz",
        Answers::Own(|method| on(method, probes::readyz)),
    ),
    row(
        "GET",
        "/metrics",
        Answers::Own(|method| on(method, probes::metrics)),
    ),
    row("GET", "/", Answers::Own(|method| on(method, assets::serve))),
    row(
        "GET",
        dashboard::FOLDER,
        Answers::Own(|method| on(method, assets::serve)),
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

const fn asks(path: &'static str, read: fn(&Said<'_>) -> Result<Command, OrderError>) -> Row {
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
                        AccessKind::Read
                    } else {
                        AccessKind::Write
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
    effect: AccessKind,
    read: fn(&Said<'_>) -> Result<Command, OrderError>,
) -> Result<Reply, Reply> {
    let peer = admit(context, &request, path, effect)?;
    let uri = request.uri().clone();
    let body = match effect {
        AccessKind::Read => Default::default(),
        AccessKind::Write => body(request, context.limits.body_timeout).await?,
    };
    let said = Said::new(uri.path(), uri.query().unwrap_or_default(), &body);
    let command = read(&said).map_err(refused)?;
    Ok(reply(execute::carry_out(command, peer, context).await))
}

/// A refusal in its status.
pub(super) fn refused(refusal: OrderError) -> Reply {
    reply(Err(refusal))
}

/// What a command brought, as HTTP has it.
pub(super) fn reply(outcome: Outcome) -> Reply {
    match outcome {
        Ok(answer) => Reply::new(200, answer.json()),
        Err(refusal) => Reply::new(refusal.status, crate::orders::failure(&refusal.sentence)),
    }
}
