//! Answers one request.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::channel::Channel;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::guard::{Denied, Head};
use super::{ASK, Served, page};
use crate::desk::Wanted;
use crate::enrol::parse;

/// Bytes of a request's body.
const BODY: usize = 64 << 10;

/// A stream without news says so this often: whatever stands between must not
/// take it for dead.
const ALIVE: Duration = Duration::from_secs(15);

type Answer = Response<BoxBody<Bytes, Infallible>>;

/// What is to be written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    cards: Vec<Wanted>,
}

/// Answers a request.
pub async fn answer(served: Arc<Served>, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let mut answer = route(&served, request).await;
    let headers = answer.headers_mut();
    let set = [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    for (name, value) in set {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(policy) = HeaderValue::from_str(&served.policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    Ok(answer)
}

async fn route(served: &Served, request: Request<Incoming>) -> Answer {
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let text = |name: HeaderName| request.headers().get(name).and_then(|it| it.to_str().ok());
    let head = Head {
        changes: method != Method::GET,
        host: text(header::HOST),
        origin: text(header::ORIGIN),
        site: text(HeaderName::from_static("sec-fetch-site")),
        kind: text(header::CONTENT_TYPE),
        authorization: text(header::AUTHORIZATION),
    };
    let judged = match (&method, path.as_str()) {
        (&Method::GET, "/") => served.guard.page(&head),
        (_, "/enrol") => served.guard.program(&head),
        _ => served.guard.inside(&head),
    };
    let trusted = served.guard.has_token(&head);
    if let Err(denied) = judged {
        return refuse(denied);
    }
    match (method, path.as_str()) {
        (Method::GET, "/") => whole(StatusCode::OK, "text/html; charset=utf-8", page::PAGE),
        (Method::GET, "/state") => {
            let state = served.state.borrow().to_string();
            whole(StatusCode::OK, "application/json", state)
        }
        (Method::GET, "/events") => events(served),
        (Method::POST, "/start") => start(served, request).await,
        (Method::POST, "/enrol") => enrol(served, request, trusted).await,
        (_, "/" | "/state" | "/events" | "/start" | "/enrol") => {
            problem(StatusCode::METHOD_NOT_ALLOWED, "this cannot be done to it")
        }
        _ => problem(StatusCode::NOT_FOUND, "there is no such page"),
    }
}

/// A stream of states, the present one first.
fn events(served: &Served) -> Answer {
    let (mut sender, body) = Channel::<Bytes, Infallible>::new(2);
    let mut state = served.state.clone();
    state.mark_changed();
    tokio::spawn(async move {
        loop {
            let text = match tokio::time::timeout(ALIVE, state.changed()).await {
                Ok(Ok(())) => format!("data: {}\n\n", &*state.borrow_and_update()),
                Ok(Err(_)) => return,
                Err(_) => ":\n\n".to_owned(),
            };
            if sender.send_data(text.into()).await.is_err() {
                // Nobody listens any more.
                return;
            }
        }
    });
    response(StatusCode::OK, "text/event-stream", body.boxed())
}

/// Begins to write cards.
async fn start(served: &Served, request: Request<Incoming>) -> Answer {
    let bytes = match read(request).await {
        Ok(bytes) => bytes,
        Err(answer) => return answer,
    };
    let order: Order = match serde_json::from_slice(&bytes) {
        Ok(order) => order,
        Err(error) => {
            return problem(StatusCode::BAD_REQUEST, &format!("the order is not valid: {error}"));
        }
    };
    let desk = served.desk.clone();
    // Cards are opened and secrets asked for, which takes its time.
    match tokio::task::spawn_blocking(move || desk.start(&order.cards)).await {
        Ok(Ok(notes)) => {
            whole(StatusCode::OK, "application/json", json!({"notes": notes}).to_string())
        }
        Ok(Err(error)) => problem(StatusCode::CONFLICT, &error.to_string()),
        Err(_) => problem(StatusCode::INTERNAL_SERVER_ERROR, "the program failed"),
    }
}

/// Takes units' reports. A unit does not know the desk's token, but has that of
/// its card, which nobody else has: that will do for its own report.
async fn enrol(served: &Served, request: Request<Incoming>, trusted: bool) -> Answer {
    let bytes = match read(request).await {
        Ok(bytes) => bytes,
        Err(answer) => return answer,
    };
    let reports = std::str::from_utf8(&bytes).map_err(|_| "it is no UTF-8".to_owned());
    let reports = match reports.and_then(|text| parse(text).map_err(|it| it.to_string())) {
        Ok(reports) => reports,
        Err(error) => return problem(StatusCode::BAD_REQUEST, &error),
    };
    let desk = served.desk.clone();
    match tokio::task::spawn_blocking(move || desk.enrol(&reports, trusted)).await {
        Ok(Ok(units)) => {
            whole(StatusCode::OK, "application/json", json!({"units": units}).to_string())
        }
        Ok(Err(error)) => problem(StatusCode::CONFLICT, &error.to_string()),
        Err(_) => problem(StatusCode::INTERNAL_SERVER_ERROR, "the program failed"),
    }
}

/// A request's body; else the answer to one that is too long or does not come.
async fn read(request: Request<Incoming>) -> Result<Bytes, Answer> {
    let body = Limited::new(request.into_body(), BODY).collect();
    match tokio::time::timeout(ASK, body).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(_)) | Err(_) => {
            Err(problem(StatusCode::PAYLOAD_TOO_LARGE, "the request is too long, or has no end"))
        }
    }
}

fn refuse(denied: Denied) -> Answer {
    let status = match denied {
        Denied::Host => StatusCode::MISDIRECTED_REQUEST,
        Denied::Origin => StatusCode::FORBIDDEN,
        Denied::Kind => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Denied::Token => StatusCode::UNAUTHORIZED,
    };
    problem(status, &denied.to_string())
}

fn problem(status: StatusCode, error: &str) -> Answer {
    whole(status, "application/json", json!({"error": error}).to_string())
}

fn whole(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    response(status, kind, Full::new(body.into()).boxed())
}

fn response(status: StatusCode, kind: &'static str, body: BoxBody<Bytes, Infallible>) -> Answer {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
