//! What all operations of the document have in common: who asks, what can go wrong, keys for what is to be done once; and
//! what the macros leave undone. Knows no operation.

use crate::layers::idempotency;
use crate::layers::{self, Takes};
use crate::problem::{Kind, PROBLEM_JSON, ProblemBody};
use axum::http::Method;
use std::collections::{BTreeMap, BTreeSet};
use utoipa::ToSchema;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::ArrayItems;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Components, ContentBuilder, Object, ObjectBuilder, OpenApi as Document, Ref, RefOr, ResponseBuilder,
    Schema, Type,
};

/// Parameters that every list has; others may name what is not there.
const PAGING: [&str; 3] = ["limit", "after", "sort"];
/// How the schema of a list of something begins.
const PAGE_OF: &str = "Page_";

/// Adds all of it.
pub(super) fn complete(document: &mut Document) {
    let components = document.components.get_or_insert_default();
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(
        "An access token from signing in, an API token, or a token from `gatehouse user add`",
    ));
    components.add_security_scheme("bearer", SecurityScheme::Http(scheme.build()));
    for kind in Kind::ALL {
        components.responses.insert(kind.code().to_owned(), RefOr::T(problem_response(*kind)));
    }
    let mut told = BTreeSet::new();
    for (path, item) in &mut document.paths.paths {
        let has_name = path.contains('{');
        let all = [
            (Method::GET, &mut item.get),
            (Method::PUT, &mut item.put),
            (Method::POST, &mut item.post),
            (Method::DELETE, &mut item.delete),
            (Method::PATCH, &mut item.patch),
        ];
        for (method, operation) in all.into_iter().filter_map(|(method, one)| Some((method, one.as_mut()?))) {
            told.extend(complete_operation(path, &method, has_name, operation));
            operation.parameters.iter_mut().flatten().for_each(describe);
        }
    }
    // A kind that only some operations tell of, in their own words, is no part of the others.
    components.responses.retain(|code, _| told.contains(code.as_str()));
    name_items(components);
    let taken = merge(components);
    // A part that nothing else refers to is no thing of its own.
    let text = document.to_json().expect("the document is JSON");
    let is_free = |name: &String| !text.contains(&format!("\"#/components/schemas/{name}\""));
    let components = document.components.get_or_insert_default();
    components.schemas.retain(|name, _| !(taken.contains(name) && is_free(name)));
}

/// A thing with the fields of another beside its own is shown as one thing: a part that forbids other fields would forbid
/// those beside it, and one that may be missing has no place in "all of these".
///
/// Gives the names of the parts.
fn merge(components: &mut Components) -> BTreeSet<String> {
    let whole = components.schemas.clone();
    let mut taken = BTreeSet::new();
    for schema in components.schemas.values_mut() {
        let RefOr::T(Schema::AllOf(parts)) = schema else { continue };
        let objects: Option<Vec<Object>> = parts.items.iter().map(|part| object(&whole, part)).collect();
        let Some((first, others)) = objects.as_deref().and_then(<[Object]>::split_first) else { continue };
        let mut one = first.clone();
        one.description.clone_from(&parts.description);
        for part in others {
            one.properties.extend(part.properties.clone());
            one.required.extend(part.required.iter().cloned());
        }
        taken.extend(parts.items.iter().filter_map(named).map(str::to_owned));
        *schema = RefOr::T(Schema::Object(one));
    }
    taken
}

/// The object that a part of "all of these" adds; one that may be missing adds fields that may be missing.
fn object(schemas: &BTreeMap<String, RefOr<Schema>>, part: &RefOr<Schema>) -> Option<Object> {
    match part {
        RefOr::Ref(_) => object(schemas, schemas.get(named(part)?)?),
        RefOr::T(Schema::Object(object)) => Some(object.clone()),
        RefOr::T(Schema::OneOf(either)) => {
            let mut object = either.items.iter().find_map(|one| object(schemas, one).filter(has_fields))?;
            object.required.clear();
            Some(object)
        }
        RefOr::T(_) => None,
    }
}

fn has_fields(object: &Object) -> bool {
    !object.properties.is_empty()
}

/// The name of the schema that a part refers to, itself or as one that may be missing.
fn named(part: &RefOr<Schema>) -> Option<&str> {
    match part {
        RefOr::Ref(at) => at.ref_location.rsplit('/').next(),
        RefOr::T(Schema::OneOf(either)) => either.items.iter().find_map(named),
        RefOr::T(_) => None,
    }
}

/// A list's items are a thing of its own name: without this each list describes them anew.
fn name_items(components: &mut Components) {
    let names: Vec<String> = components.schemas.keys().cloned().collect();
    for name in &names {
        let Some(item) = name.strip_prefix(PAGE_OF).filter(|item| components.schemas.contains_key(*item))
        else {
            continue;
        };
        if let Some(RefOr::T(Schema::Object(page))) = components.schemas.get_mut(name)
            && let Some(RefOr::T(Schema::Array(items))) = page.properties.get_mut("items")
        {
            items.items = ArrayItems::RefOrSchema(Box::new(RefOr::Ref(Ref::from_schema_name(item))));
        }
    }
}

/// A parameter whose words stand with its type says them itself.
fn describe(parameter: &mut RefOr<Parameter>) {
    if let RefOr::T(Parameter { description: description @ None, schema: Some(RefOr::T(schema)), .. }) =
        parameter
        && let Schema::Object(object) = schema
    {
        description.clone_from(&object.description);
    }
}

/// Gives the codes of the problems that it refers to.
fn complete_operation(
    path: &str,
    method: &Method,
    has_name: bool,
    operation: &mut Operation,
) -> Vec<&'static str> {
    let takes = layers::takes(operation, path);
    operation.responses.responses.iter_mut().for_each(|(status, response)| say_headers(status, response));
    let mut kinds = vec![Kind::Malformed, Kind::RateLimited, Kind::Unavailable];
    match takes {
        Takes::Permission(permission) => {
            operation.security = Some(vec![SecurityRequirement::new("bearer", Vec::<String>::new())]);
            kinds.extend([Kind::Unauthenticated, Kind::NotAllowed]);
            append(&mut operation.description, &format!("Takes the permission `{}`.", permission.word()));
        }
        Takes::Nobody => {
            operation.security = Some(Vec::new());
            append(&mut operation.description, "Takes no token.");
        }
    }
    if has_name {
        kinds.push(Kind::NotFound);
    }
    let narrows = |parameter: &RefOr<Parameter>| match parameter {
        RefOr::T(own) => own.parameter_in == ParameterIn::Query && !PAGING.contains(&own.name.as_str()),
        RefOr::Ref(_) => false,
    };
    if operation.parameters.iter().flatten().any(narrows) {
        kinds.push(Kind::Invalid);
    }
    if operation.request_body.is_some() {
        kinds.extend([Kind::TooLarge, Kind::UnsupportedMediaType, Kind::Invalid]);
    }
    if *method != Method::GET {
        kinds.push(Kind::Conflict);
    }
    if *method == Method::POST && takes != Takes::Nobody {
        kinds.extend([Kind::TooLarge, Kind::KeyReused]);
        operation.parameters.get_or_insert_default().push(RefOr::T(idempotency_key()));
    }
    let parameters = operation.parameters.iter().flatten();
    let named = parameters.filter_map(|parameter| match parameter {
        RefOr::T(parameter) => Some(parameter.name.as_str()),
        RefOr::Ref(_) => None,
    });
    if named.into_iter().any(|name| name.eq_ignore_ascii_case("if-match")) {
        kinds.extend([Kind::Changed, Kind::PreconditionRequired]);
    }
    let mut told = Vec::new();
    for kind in kinds {
        let response = operation.responses.responses.entry(kind.status().to_string());
        response.or_insert_with(|| {
            told.push(kind.code());
            RefOr::Ref(Ref::from_response_name(kind.code()))
        });
    }
    told
}

fn idempotency_key() -> Parameter {
    let text = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1));
    let text = text.max_length(Some(idempotency::KEY_CHARS_MAX)).pattern(Some("^[!-~]+$"));
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .description(Some(
            "With it, the request is done once however often it is sent, and answered alike for 24 hours",
        ))
        .schema(Some(text.build()))
        .example(Some("8e03978e-40d5-43e8-bc93-6894a57f9324".into()))
        .build()
}

fn problem_response(kind: Kind) -> utoipa::openapi::Response {
    let schema = RefOr::Ref(Ref::from_schema_name(ProblemBody::name()));
    let example = serde_json::json!({
        "type": format!("/problems#{}", kind.code()), "title": kind.title(), "status": kind.status(),
        "code": kind.code(), "detail": kind.advice(),
    });
    let content = ContentBuilder::new().schema(Some(schema)).example(Some(example)).build();
    let response = ResponseBuilder::new().description(kind.title()).content(PROBLEM_JSON, content);
    headers_of(kind)
        .iter()
        .fold(response, |response, (name, what)| response.header(*name, header_of(what)))
        .build()
}

fn append(text: &mut Option<String>, note: &str) {
    *text = Some(text.take().map_or(note.to_owned(), |text| format!("{text}\n\n{note}")));
}

/// A problem that an operation tells in its own words has the headers of its kind all the same.
fn say_headers(status: &str, response: &mut RefOr<utoipa::openapi::Response>) {
    let kind = Kind::ALL.iter().find(|kind| kind.status().to_string() == status);
    if let (RefOr::T(response), Some(kind)) = (response, kind) {
        for (name, what) in headers_of(*kind) {
            response.headers.entry((*name).to_owned()).or_insert_with(|| RefOr::T(header_of(what)));
        }
    }
}

/// Headers of a problem, and what they say.
fn headers_of(kind: Kind) -> &'static [(&'static str, &'static str)] {
    const AFTER: (&str, &str) = ("Retry-After", "Seconds to wait");
    match kind {
        Kind::Unauthenticated | Kind::SecondFactorRequired => &[("WWW-Authenticate", "How to say who asks")],
        Kind::Unavailable => &[AFTER],
        Kind::RateLimited => &[
            AFTER,
            ("RateLimit-Limit", "Requests a minute"),
            ("RateLimit-Remaining", "Requests left"),
            ("RateLimit-Reset", "Seconds until all are there again"),
        ],
        _ => &[],
    }
}

fn header_of(what: &str) -> utoipa::openapi::Header {
    HeaderBuilder::new()
        .description(Some(what))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .build()
}
