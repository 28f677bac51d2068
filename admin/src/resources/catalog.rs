//! What events, zones, gates, ticket types and devices have in common: they are entities of the catalog, found by name,
//! shown whole, made once, and replaced by whoever has seen the newest version. None is ever deleted: history names them.

use crate::app::App;
use crate::etag::{self, IfMatch, Version};
use crate::page::{Page, PageParams};
use crate::problem::{Kind, Problem};
use axum::extract::OriginalUri;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use engine::catalog::{Catalog, Entity, OperatorId};
use serde::Serialize;
use std::ops::Bound;
use utoipa::ToSchema;

/// One kind of entity as the API shows and takes it: the same fields both ways.
pub(super) trait Thing: Serialize + ToSchema + Sized {
    /// What it is called in sentences.
    const WHAT: &'static str;
    /// Where it is found, up to the name.
    const AT: &'static str;

    /// Its name.
    fn name(&self) -> &str;
    /// All of them, by name.
    fn all(catalog: &Catalog) -> Vec<(String, Entity)>;
    /// As it is shown.
    fn of(catalog: &Catalog, entity: &Entity) -> Self;
    /// As the engine has it. `before` is the entity it replaces, for what the API does not show.
    ///
    /// # Errors
    /// A value that is not possible, by its field.
    fn entity(&self, catalog: &Catalog, before: Option<&Entity>) -> Result<Entity, Problem>;
    /// The entity of a name.
    fn find(catalog: &Catalog, name: &str) -> Option<Entity>;
}

/// A page of them, by name.
pub(super) fn list<T: Thing>(
    app: &App,
    uri: &OriginalUri,
    page: &PageParams,
    fits: impl Fn(&T) -> bool,
) -> Result<Response, Problem> {
    let (limit, after) = (page.limit()?, page.after::<String>()?);
    let catalog = app.engine.catalog();
    let all: std::collections::BTreeMap<String, Entity> = T::all(&catalog).into_iter().collect();
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    let shown = all.range((from, Bound::Unbounded)).map(|(_, entity)| T::of(&catalog, entity));
    let items = shown.filter(fits).take(limit + 1).collect();
    Ok(Page::of(items, limit, |item: &T| item.name().to_owned()).answer(uri))
}

/// One of them.
pub(super) fn get<T: Thing>(app: &App, headers: &HeaderMap, name: &str) -> Result<Response, Problem> {
    let catalog = app.engine.catalog();
    let entity = T::find(&catalog, name).ok_or_else(|| Problem::not_found(T::WHAT, name))?;
    Ok(etag::shown(headers, &T::of(&catalog, &entity)))
}

/// Makes one.
pub(super) async fn create<T: Thing>(app: &App, by: Option<OperatorId>, new: T) -> Result<Response, Problem> {
    let catalog = app.engine.catalog();
    if T::find(&catalog, new.name()).is_some() {
        return Err(exists::<T>(new.name()));
    }
    let entity = new.entity(&catalog, None)?;
    let lsn = app.engine.put(by, entity)?;
    app.settle(lsn).await?;
    let at = format!("{}/{}", T::AT, segment(new.name()));
    Ok(etag::made(&at, &new))
}

/// Replaces one.
pub(super) async fn replace<T: Thing>(
    app: &App,
    by: Option<OperatorId>,
    if_match: &IfMatch,
    name: &str,
    new: T,
) -> Result<Response, Problem> {
    if new.name() != name {
        return Err(Problem::invalid("name", "a name never changes; make a new one instead"));
    }
    let catalog = app.engine.catalog();
    let before = T::find(&catalog, name).ok_or_else(|| Problem::not_found(T::WHAT, name))?;
    if_match.check(&Version::of(&T::of(&catalog, &before)))?;
    let entity = new.entity(&catalog, Some(&before))?;
    let lsn = app.engine.put(by, entity)?;
    app.settle(lsn).await?;
    Ok(etag::changed(StatusCode::OK, &new))
}

fn exists<T: Thing>(name: &str) -> Problem {
    Problem::new(Kind::Conflict, format!("there is a {} '{}' already", T::WHAT, crate::problem::shown(name)))
}

/// A name as one part of a path.
pub(super) fn segment(name: &str) -> String {
    form_urlencoded::byte_serialize(name.as_bytes()).collect::<String>().replace('+', "%20")
}
