//! The table of routes: which method and path ask for which command.
//!
//! What a path answers is what the text command answers with ` json`. `openapi.json` describes the same table
//! for programs, and a test compares the two. Adding a route is one more row here and its description there.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::routing::{MethodFilter, MethodRouter, on};

use super::request::{RequestParts, admit, body};
use super::{ApiReply, assets, events, parse, probes};
use crate::access::AccessKind;
use crate::control::command::ControlCommand;
use crate::control::execute::{self, CommandResult};
use crate::control::ring_query::RingQuery;
use crate::control::{ControlContext, Shared, dashboard};
use crate::orders::{ChangeKind, OrderError};

/// A method and a path, as the library writes it: `{name}` is one piece of any text.
pub(super) struct Route {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    answers: RouteHandler,
}

/// How a row is answered.
enum RouteHandler {
    /// By a command, for those who may give it.
    Command(fn(&RequestParts<'_>) -> Result<ControlCommand, OrderError>),
    /// In its own way.
    Own(fn(MethodFilter) -> MethodRouter<Arc<Shared>>),
}

/// All of them.
pub(super) const ROUTES: &[Route] = &[
    get_route("/rep", |_| Ok(ControlCommand::Rep)),
    route(
        "POST",
        "/add",
        RouteHandler::Command(|said| parse::change(ChangeKind::Add, said)),
    ),
    route(
        "DELETE",
        "/rm",
        RouteHandler::Command(|said| parse::change(ChangeKind::Rm, said)),
    ),
    get_route("/replicas", |_| Ok(ControlCommand::Show(None))),
    get_route("/replicas/{name}", |said| {
        Ok(ControlCommand::Show(Some(parse::name(said)?)))
    }),
    route(
        "POST",
        "/replicas/{name}/replace",
        RouteHandler::Command(parse::replace),
    ),
    route(
        "POST",
        "/replicas/{name}/drain",
        RouteHandler::Command(parse::drain),
    ),
    route(
        "POST",
        "/replicas/{name}/ready",
        RouteHandler::Command(parse::ready),
    ),
    route("POST", "/scale", RouteHandler::Command(parse::scale)),
    get_route("/ring", parse::ring),
    route("POST", "/ring", RouteHandler::Command(parse::set_ring)),
    get_route("/bound", |_| Ok(ControlCommand::Query(RingQuery::Bound))),
    route("POST", "/bound", RouteHandler::Command(parse::set_bound)),
    get_route("/where/{key}", |said| {
        Ok(ControlCommand::Query(
            RingQuery::owner(said.path_segment(1)).map_err(OrderError::invalid)?,
        ))
    }),
    get_route("/where", parse::whose),
    get_route("/plan", parse::plan),
    get_route("/stats", |_| Ok(ControlCommand::Stats)),
    route(
        "GET",
        "/events",
        RouteHandler::Own(|method| on(method, events::serve)),
    ),
    route(
        "GET",
        "/help",
        RouteHandler::Own(|method| on(method, probes::help)),
    ),
    route(
        "GET",
        "/openapi.json",
        RouteHandler::Own(|method| on(method, probes::openapi)),
    ),
    route(
        "GET",
        "/healthz",
        RouteHandler::Own(|method| on(method, probes::healthz)),
    ),
    route(
        "GET",
        "/readyz",
        RouteHandler::Own(|method| on(method, probes::readyz)),
    ),
    route(
        "GET",
        "/metrics",
        RouteHandler::Own(|method| on(method, probes::metrics)),
    ),
    route(
        "GET",
        "/",
        RouteHandler::Own(|method| on(method, assets::serve)),
    ),
    route(
        "GET",
        dashboard::FOLDER,
        RouteHandler::Own(|method| on(method, assets::serve)),
    ),
];

/// The description of the table, in the language of OpenAPI 3.1.
pub(in crate::control) const OPENAPI: &str = include_str!("../openapi.json");

const fn route(method: &'static str, path: &'static str, answers: RouteHandler) -> Route {
    Route {
        method,
        path,
        answers,
    }
}

const fn get_route(
    path: &'static str,
    read: fn(&RequestParts<'_>) -> Result<ControlCommand, OrderError>,
) -> Route {
    route("GET", path, RouteHandler::Command(read))
}

/// What serves each path, `OPTIONS` included.
pub(super) fn by_path() -> BTreeMap<&'static str, MethodRouter<Arc<Shared>>> {
    let mut paths: BTreeMap<&'static str, MethodRouter<Arc<Shared>>> = BTreeMap::new();
    for row in ROUTES {
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

fn allow(which: impl Fn(&Route) -> bool) -> String {
    let mut methods: Vec<&str> = Vec::new();
    for row in ROUTES.iter().filter(|row| which(row)) {
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

impl Route {
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
            RouteHandler::Own(serve) => serve(filter),
            RouteHandler::Command(read) => on(
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
    context: &ControlContext,
    request: Request,
    path: &str,
    effect: AccessKind,
    read: fn(&RequestParts<'_>) -> Result<ControlCommand, OrderError>,
) -> Result<ApiReply, ApiReply> {
    let peer = admit(context, &request, path, effect)?;
    let uri = request.uri().clone();
    let body = match effect {
        AccessKind::Read => Default::default(),
        AccessKind::Write => body(request, context.limits.body_timeout).await?,
    };
    let said = RequestParts::new(uri.path(), uri.query().unwrap_or_default(), &body);
    let command = read(&said).map_err(error_reply)?;
    Ok(result_reply(execute::execute(command, peer, context).await))
}

/// A refusal in its status.
pub(super) fn error_reply(refusal: OrderError) -> ApiReply {
    result_reply(Err(refusal))
}

/// What a command brought, as HTTP has it.
pub(super) fn result_reply(outcome: CommandResult) -> ApiReply {
    match outcome {
        Ok(answer) => ApiReply::new(200, answer.json()),
        Err(refusal) => ApiReply::new(refusal.status, crate::orders::failure(&refusal.sentence)),
    }
}
