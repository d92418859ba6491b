//! The table of routes: the command, or the handler, of each method and path.
//!
//! A path answers as its text command with ` json`. `openapi.json` describes the same table, and a
//! test compares the two. A new route is one more row here and its description there.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::routing::{MethodFilter, MethodRouter, on};

use super::reply::ApiReply;
use super::request::{RequestParts, admit, body};
use super::{assets, events, extract, plan_query, probes};
use crate::access::AccessKind;
use crate::control::command::ControlCommand;
use crate::control::context::ControlContext;
use crate::control::ring_query::RingQuery;
use crate::control::shared::Shared;
use crate::control::{dashboard, execute};
use crate::orders::OrderError;

/// A method and a path in axum's syntax: `{name}` matches one segment.
pub(super) struct Route {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    handler: RouteHandler,
}

type Extractor = fn(&RequestParts<'_>) -> Result<ControlCommand, OrderError>;

/// The handler of a route.
enum RouteHandler {
    /// Extracts a command and carries it out, after the access check.
    Command(Extractor),
    /// A handler of its own.
    Own(fn(MethodFilter) -> MethodRouter<Arc<Shared>>),
}

/// All routes.
pub(super) const ROUTES: &[Route] = &[
    get("/rep", |_| Ok(ControlCommand::Rep)),
    command("POST", "/add", extract::add),
    command("DELETE", "/rm", extract::rm),
    get("/replicas", |_| Ok(ControlCommand::Show(None))),
    get("/replicas/{name}", extract::show),
    get("/config", |_| Ok(ControlCommand::ShowConfig)),
    command("POST", "/reload", extract::reload),
    command("DELETE", "/replicas/{name}", extract::rm_replica),
    command("POST", "/replicas/{name}/add", extract::add_backend),
    command("POST", "/replicas/{name}/set", extract::set_backend),
    command("POST", "/replicas/{name}/replace", extract::replace),
    command("POST", "/replace/stop", extract::stop_replace),
    command("POST", "/replace/back", extract::replace_back),
    command("POST", "/replicas/{name}/drain", extract::drain),
    command("POST", "/replicas/{name}/ready", extract::ready),
    command("POST", "/replicas/{name}/weight", extract::set_weight),
    command("POST", "/scale", extract::scale),
    get("/ring", extract::ring),
    command("POST", "/ring", extract::set_ring),
    get("/bound", |_| Ok(ControlCommand::Query(RingQuery::Bound))),
    command("POST", "/bound", extract::set_bound),
    get("/where/{key}", extract::where_in_path),
    get("/where", extract::where_in_query),
    get("/plan", plan_query::plan),
    get("/clients", |_| Ok(ControlCommand::Clients)),
    get("/stats", |_| Ok(ControlCommand::Stats)),
    get("/history", |_| Ok(ControlCommand::History)),
    own("/events", |method| on(method, events::serve)),
    own("/help", |method| on(method, probes::help)),
    own("/openapi.json", |method| on(method, probes::openapi)),
    own("/healthz", |method| on(method, probes::healthz)),
    own("/readyz", |method| on(method, probes::readyz)),
    own("/metrics", |method| on(method, probes::metrics)),
    own("/", |method| on(method, assets::serve)),
    own(dashboard::FOLDER, |method| on(method, assets::serve)),
];

const fn get(path: &'static str, extract: Extractor) -> Route {
    command("GET", path, extract)
}

const fn command(method: &'static str, path: &'static str, extract: Extractor) -> Route {
    Route {
        method,
        path,
        handler: RouteHandler::Command(extract),
    }
}

const fn own(path: &'static str, serve: fn(MethodFilter) -> MethodRouter<Arc<Shared>>) -> Route {
    Route {
        method: "GET",
        path,
        handler: RouteHandler::Own(serve),
    }
}

/// Returns the handlers of each path, `OPTIONS` included.
pub(super) fn by_path() -> BTreeMap<&'static str, MethodRouter<Arc<Shared>>> {
    let mut paths: BTreeMap<&'static str, MethodRouter<Arc<Shared>>> = BTreeMap::new();
    for route in ROUTES {
        let served = paths.remove(route.path).unwrap_or_default();
        paths.insert(route.path, served.merge(route.serve()));
    }
    let with_options = |(path, served): (&'static str, MethodRouter<_>)| {
        let allow = allow(|route| route.path == path);
        let options = move || async move { ([(header::ALLOW, allow)], StatusCode::NO_CONTENT) };
        (path, served.on(MethodFilter::OPTIONS, options))
    };
    paths.into_iter().map(with_options).collect()
}

/// Returns the methods that at least one path takes, in the form of `Allow`.
pub(super) fn all_methods() -> String {
    allow(|_| true)
}

fn allow(which: impl Fn(&Route) -> bool) -> String {
    let mut methods: Vec<&str> = Vec::new();
    for route in ROUTES.iter().filter(|route| which(route)) {
        let head = (route.method == "GET").then_some("HEAD");
        for method in [route.method].into_iter().chain(head) {
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
        // All methods of the table are valid: a test requests every row.
        let filter = method
            .ok()
            .and_then(|method| MethodFilter::try_from(method).ok());
        let filter = filter.unwrap_or(MethodFilter::GET);
        let kind = match self.method {
            "GET" => AccessKind::Read,
            _ => AccessKind::Write,
        };
        let path = self.path.split("/{").next().unwrap_or(self.path);
        match self.handler {
            RouteHandler::Own(serve) => serve(filter),
            RouteHandler::Command(extract) => on(
                filter,
                move |State(shared): State<Arc<Shared>>, request: Request| async move {
                    answer(&shared.context, request, path, kind, extract).await
                },
            ),
        }
    }
}

/// Checks access, then extracts the command and carries it out.
async fn answer(
    context: &ControlContext,
    request: Request,
    path: &str,
    kind: AccessKind,
    extract: Extractor,
) -> Result<ApiReply, ApiReply> {
    let peer = admit(context, &request, path, kind)?;
    let uri = request.uri().clone();
    let body = match kind {
        AccessKind::Read => Default::default(),
        AccessKind::Write | AccessKind::LocalWrite => {
            body(request, context.limits.body_timeout).await?
        }
    };
    let parts = RequestParts::new(uri.path(), uri.query().unwrap_or_default(), &body);
    let command = extract(&parts)?;
    Ok(execute::execute(command, peer, context).await.into())
}
