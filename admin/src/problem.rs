//! Problems: every refusal of the API, told as RFC 9457 asks (`application/problem+json`). The catalogue of kinds is
//! here and nowhere else; the OpenAPI document and the page `/problems` are made from it.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use engine::EngineError;
use engine::catalog::CatalogError;
use engine::registry::RegistryError;
use serde::Serialize;
use store::StoreError;
use utoipa::ToSchema;

/// Media type of a problem.
pub const PROBLEM_JSON: &str = "application/problem+json";
/// A client that was told "unavailable" asks again after this many seconds.
const RETRY_AFTER_S: u32 = 1;

macro_rules! kinds {
    ($($(#[doc = $doc:literal])* $name:ident = $status:literal, $code:literal, $title:literal;)*) => {
        /// What went wrong, as a stable code. The list is part of the API: kinds are added, never renamed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Kind { $($(#[doc = $doc])* $name),* }

        impl Kind {
            /// Every kind there is.
            pub const ALL: &[Kind] = &[$(Kind::$name),*];

            /// The HTTP status it is answered with.
            pub fn status(self) -> u16 { match self { $(Kind::$name => $status),* } }
            /// Stable, for programs.
            pub fn code(self) -> &'static str { match self { $(Kind::$name => $code),* } }
            /// For people; the same for every problem of the kind.
            pub fn title(self) -> &'static str { match self { $(Kind::$name => $title),* } }
            /// What to do about it.
            pub fn advice(self) -> &'static str { match self { $(Kind::$name => concat!($($doc),*).trim_ascii()),* } }
        }
    };
}

kinds! {
    /// The request cannot be read: `errors` names the place. Mend it before it is sent again.
    Malformed = 400, "malformed_request", "The request cannot be read";
    /// Sign in, or send a token: `Authorization: Bearer …`. An expired access token is renewed at `/api/v1/auth/refresh`.
    Unauthenticated = 401, "unauthenticated", "Who asks is not known";
    /// The password is right. Ask for a code of the second factor, or a recovery code, and send it along as `code`.
    SecondFactorRequired = 401, "second_factor_required", "A code of the second factor is needed";
    /// Somebody with the permission that `detail` names has to do it.
    NotAllowed = 403, "not_allowed", "This is not allowed to you";
    /// Look at the path and the name in it.
    NotFound = 404, "not_found", "There is no such thing";
    /// The header `Allow` says which methods the path has.
    MethodNotAllowed = 405, "method_not_allowed", "The path has no such method";
    /// It contradicts how things are now; `detail` says what is in the way.
    Conflict = 409, "conflict", "It contradicts how things are";
    /// The same request is being answered. Send it again in a moment, with the same key.
    InProgress = 409, "in_progress", "A request with this key is being answered";
    /// Whether it was done, or what the answer was, is not known any more. Look, and if it was not done, send it with a new key.
    OutcomeUnknown = 409, "outcome_unknown", "How the first request with this key ended is not known";
    /// Somebody changed it since you read it. Read it again, then decide again.
    Changed = 412, "precondition_failed", "It was changed since you read it";
    /// Send less at once, or use an import, which takes any number of rows.
    TooLarge = 413, "too_large", "The body is too large";
    /// The header `Accept-Post` or `detail` says what can be read here.
    UnsupportedMediaType = 415, "unsupported_media_type", "The body is of a kind that is not read here";
    /// The request can be read and makes no sense: `errors` names each field and what it must be.
    Invalid = 422, "invalid", "Some values are not possible";
    /// Every request has an `Idempotency-Key` of its own; only the very same request is sent with it again.
    KeyReused = 422, "idempotency_key_reused", "This key was used for another request";
    /// Read it first, then send its `ETag` as `If-Match`, so that nobody's change is undone unseen.
    PreconditionRequired = 428, "precondition_required", "Say which version you have seen";
    /// Wait as long as `Retry-After` says.
    RateLimited = 429, "rate_limited", "Too many requests";
    /// It is our mistake. The log has the request's id.
    Internal = 500, "internal", "Something went wrong inside";
    /// The journal, the store or the time was not there. Ask again; where a change was asked for, look first whether it was made.
    Unavailable = 503, "unavailable", "It cannot be done now";
}

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Where: a path such as `gates[2]`, or a query parameter's name.
    #[schema(example = "capacity")]
    pub field: String,
    /// What is wrong, and what it must be.
    #[schema(example = "a number from 1 to 4294967295 is meant")]
    pub message: String,
}

/// A refusal on its way to the client.
#[derive(Clone, Debug)]
pub struct Problem {
    /// What kind.
    pub kind: Kind,
    /// What happened, for people.
    pub detail: String,
    /// Which fields.
    pub errors: Vec<FieldError>,
    /// When to try again, in seconds.
    pub retry_after_s: Option<u32>,
}

/// A problem as it is sent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// Identifies the kind; the page behind it explains it.
    #[serde(rename = "type")]
    #[schema(example = "/problems#not_found")]
    pub kind: String,
    /// The kind, for people.
    #[schema(example = "There is no such thing")]
    pub title: &'static str,
    /// The HTTP status.
    #[schema(example = 404)]
    pub status: u16,
    /// The kind, for programs.
    #[schema(example = "not_found")]
    pub code: &'static str,
    /// This case, for people.
    #[schema(example = "there is no gate 'ENTRANCE_99'")]
    pub detail: String,
    /// Which fields are wrong and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<FieldError>,
}

// === impl Problem ===

impl Problem {
    /// A refusal of a kind, with words about this case.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Problem {
        let retry_after_s = (kind.status() == 503).then_some(RETRY_AFTER_S);
        Problem { kind, detail: detail.into(), errors: Vec::new(), retry_after_s }
    }

    /// There is no thing of this kind and name.
    pub fn not_found(what: &str, name: &str) -> Problem {
        Problem::new(Kind::NotFound, format!("there is no {what} '{}'", shown(name)))
    }

    /// One field's value is not possible.
    pub fn invalid(field: &str, message: impl Into<String>) -> Problem {
        let message = message.into();
        Problem::new(Kind::Invalid, format!("{field}: {message}")).with_field(field, message)
    }

    /// One place of the request cannot be read.
    pub fn malformed(field: &str, message: impl Into<String>) -> Problem {
        let message = message.into();
        Problem::new(Kind::Malformed, format!("{field}: {message}")).with_field(field, message)
    }

    /// Names one more field.
    pub fn with_field(mut self, field: &str, message: impl Into<String>) -> Problem {
        self.errors.push(FieldError { field: field.to_owned(), message: message.into() });
        self
    }

    /// Says when to try again, in seconds.
    pub fn after(mut self, seconds: u32) -> Problem {
        self.retry_after_s = Some(seconds);
        self
    }
}

/// A name from outside in a sentence: bounded, without control characters.
pub fn shown(text: &str) -> String {
    const CHARS_MAX: usize = 80;
    let mut shown: String = text.chars().filter(|c| !c.is_control()).take(CHARS_MAX).collect();
    if text.chars().count() > CHARS_MAX {
        shown.push('…');
    }
    shown
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ProblemBody {
            kind: format!("/problems#{}", self.kind.code()),
            title: self.kind.title(),
            status: self.kind.status(),
            code: self.kind.code(),
            detail: self.detail,
            errors: self.errors,
        };
        let status = StatusCode::from_u16(body.status).expect("the catalogue has HTTP statuses");
        let text = serde_json::to_vec(&body).expect("a problem has nothing that JSON cannot say");
        let mut response = (status, [(header::CONTENT_TYPE, PROBLEM_JSON)], text).into_response();
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"gatehouse\""));
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Problem {
        if let EngineError::Catalog(CatalogError::Invalid { field, problem, .. }) = &error {
            return Problem::invalid(field, problem);
        }
        let kind = match &error {
            EngineError::Registry(RegistryError::Full) => Kind::Conflict,
            EngineError::Catalog(_) | EngineError::Registry(_) | EngineError::AmendmentSize(_) => {
                Kind::Invalid
            }
            EngineError::TicketNotFound | EngineError::ScanNotFound | EngineError::EventNotFound => {
                Kind::NotFound
            }
            EngineError::NotAdmitted
            | EngineError::EventGoesOn
            | EngineError::Ticket(_)
            | EngineError::PassageDecided(_)
            | EngineError::TooLateToAnnul
            | EngineError::CommandsWait
            | EngineError::ScanIdConflict
            | EngineError::ScanIdReserved
            | EngineError::Changed => Kind::Conflict,
            _ => Kind::Unavailable,
        };
        Problem::new(kind, error.to_string())
    }
}

impl From<peripherals::Error> for Problem {
    fn from(error: peripherals::Error) -> Problem {
        use peripherals::Error;
        let kind = match &error {
            Error::UnknownPeripheral(_) | Error::UnknownTemplate(_) | Error::UnknownJob(_) => Kind::NotFound,
            Error::BadId(_) => return Problem::invalid("id", error.to_string()),
            Error::BadDocument(words) => return Problem::invalid("lines", words.clone()),
            Error::WhoAndWhy => return Problem::invalid("reason", error.to_string()),
            Error::IdConflict(_)
            | Error::WrongState { .. }
            | Error::Forgotten(_)
            | Error::WrongKind { .. }
            | Error::Elsewhere { .. }
            | Error::NotYours { .. }
            | Error::NotReady { .. } => Kind::Conflict,
            Error::Full { .. } | Error::NotInTime(_) => Kind::Unavailable,
            _ => {
                // It names files of this machine.
                tracing::error!(%error, "the printers' queue cannot do what is asked");
                let words = "printers and displays cannot do this now; gates go on, and the log says why";
                return Problem::new(Kind::Unavailable, words);
            }
        };
        Problem::new(kind, error.to_string())
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        // What a database says is for the log: it may name hosts and statements.
        tracing::warn!(%error, "a question to the store failed");
        Problem::new(Kind::Unavailable, "the store cannot be asked now; gates go on without it")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_status_a_code_of_its_own_and_advice() {
        let codes: std::collections::BTreeSet<_> = Kind::ALL.iter().map(|kind| kind.code()).collect();
        assert_eq!(codes.len(), Kind::ALL.len());
        for kind in Kind::ALL {
            assert!((400..600).contains(&kind.status()), "{kind:?}");
            assert!(kind.advice().len() > 20, "{kind:?}");
        }
    }

    #[test]
    fn what_came_from_outside_is_shown_short_and_in_one_line() {
        let problem = Problem::not_found("gate", &format!("A\r\nSet-Cookie: x{}", "y".repeat(500)));
        assert!(problem.detail.len() < 140 && !problem.detail.contains('\n'), "{}", problem.detail);
    }
}
