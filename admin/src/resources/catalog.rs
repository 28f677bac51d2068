//! What events, zones, gates, ticket types and devices have in common: they are entities of the catalog, found by name,
//! shown whole, made once, and replaced by whoever has seen the newest version. None is ever deleted: history names them.

use crate::app::App;
use crate::etag::{self, IfMatch, Version};
use crate::mistakes::Mistakes;
use crate::page::{Page, PageParams};
use crate::problem::{Kind, Problem};
use axum::extract::OriginalUri;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use engine::catalog::{Catalog, Entity, OperatorId};
use engine::registry::Act;
use engine::{EngineError, Lsn};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Bound;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::{IntoParams, ToSchema};

/// A change is tried so often where others change the same thing meanwhile.
const TRIES_MAX: usize = 16;

/// One kind of entity as the API shows and takes it: the same fields both ways.
pub(super) trait Thing: Serialize + ToSchema + Sized {
    /// As the engine has it.
    type Own: Clone + PartialEq + 'static;
    /// What its name is an identity within: the venue, or an event.
    type Scope: Copy;
    /// What it is called in sentences.
    const WHAT: &'static str;

    /// Where things of a scope are found.
    fn at(catalog: &Catalog, scope: Self::Scope) -> String;
    /// Its name.
    fn name_of(own: &Self::Own) -> &str;
    /// All of a scope.
    fn all(catalog: &Catalog, scope: Self::Scope) -> impl Iterator<Item = &Self::Own>;
    /// The one of a name.
    fn find<'c>(catalog: &'c Catalog, scope: Self::Scope, name: &str) -> Option<&'c Self::Own>;
    /// As it is shown.
    fn shown(catalog: &Catalog, own: &Self::Own) -> Self;
    /// As the engine has it; `before` is what it replaces, for what the API does not show. `None`: a mistake was told.
    fn own(&self, seen: &Seen<'_, Self>, mistakes: &mut Mistakes) -> Option<Self::Own>;
    /// As an entity of the catalog.
    fn entity(own: Self::Own) -> Entity;
}

/// What is seen while a thing is read.
pub(super) struct Seen<'s, T: Thing> {
    /// The app.
    pub app: &'s App,
    /// The catalog.
    pub catalog: &'s Catalog,
    /// What the name is within.
    pub scope: T::Scope,
    /// What is to be replaced.
    pub before: Option<&'s T::Own>,
}

/// The order of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
pub(super) enum Sort {
    /// By name.
    #[default]
    #[serde(rename = "name")]
    Name,
    /// By name, from the end.
    #[serde(rename = "-name")]
    NameDown,
}

/// Which page of a list of named things.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct NamedParams {
    /// How many items at most.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    /// The `next` of the page before; left out: the first page.
    after: Option<String>,
    /// The order: `name`, or `-name` from the end.
    #[param(inline)]
    sort: Option<Sort>,
}

impl NamedParams {
    /// Of the parameters of a list with filters.
    pub(super) fn of(limit: Option<u32>, after: Option<String>, sort: Option<Sort>) -> NamedParams {
        NamedParams { limit, after, sort }
    }
}

/// What a change makes of a thing, and the line it has in the audit besides.
pub(super) struct Change<O> {
    /// As it is to be.
    pub after: O,
    /// Why, and what else changes with it.
    pub act: Option<Act>,
}

/// A page of those that fit, by name. Looks at every name of the scope, shows those of the page.
pub(super) fn list<T: Thing>(
    app: &App,
    uri: &OriginalUri,
    scope: T::Scope,
    params: NamedParams,
    fits: impl Fn(&T::Own) -> bool,
) -> Result<Response, Problem> {
    let page = PageParams { limit: params.limit, after: params.after };
    let (limit, after) = (page.limit()?, page.after::<String>()?);
    let catalog = app.engine.catalog();
    let all: BTreeMap<&str, &T::Own> =
        T::all(&catalog, scope).filter(|own| fits(own)).map(|own| (T::name_of(own), own)).collect();
    let edge = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    let owns: Vec<&T::Own> = match params.sort.unwrap_or_default() {
        Sort::Name => {
            all.range::<str, _>((edge, Bound::Unbounded)).map(|(_, own)| *own).take(limit + 1).collect()
        }
        Sort::NameDown => {
            all.range::<str, _>((Bound::Unbounded, edge)).rev().map(|(_, own)| *own).take(limit + 1).collect()
        }
    };
    let next = owns.get(limit).and(owns.get(limit - 1)).map(|last| crate::page::cursor(&T::name_of(last)));
    let items = owns.iter().take(limit).map(|own| T::shown(&catalog, own)).collect();
    Ok(Page { items, next }.answer(uri))
}

/// One of them.
pub(super) fn get<T: Thing>(
    app: &App,
    headers: &HeaderMap,
    scope: T::Scope,
    name: &str,
) -> Result<Response, Problem> {
    let catalog = app.engine.catalog();
    let own = T::find(&catalog, scope, name).ok_or_else(|| Problem::not_found(T::WHAT, name))?;
    Ok(etag::shown(headers, &T::shown(&catalog, own)))
}

/// Makes one, and answers with it.
pub(super) async fn create<T: Thing>(
    app: &App,
    by: Option<OperatorId>,
    scope: T::Scope,
    new: &T,
) -> Result<Response, Problem> {
    let own = make(app, by, scope, new, |_| {}).await?;
    let catalog = app.engine.catalog();
    Ok(etag::made(&place::<T>(&catalog, scope, &own), &T::shown(&catalog, &own)))
}

/// Where a thing is found.
pub(super) fn place<T: Thing>(catalog: &Catalog, scope: T::Scope, own: &T::Own) -> String {
    format!("{}/{}", T::at(catalog, scope), segment(T::name_of(own)))
}

/// Makes one; `finish` adds what the API does not take.
pub(super) async fn make<T: Thing>(
    app: &App,
    by: Option<OperatorId>,
    scope: T::Scope,
    new: &T,
    finish: impl FnOnce(&mut T::Own),
) -> Result<T::Own, Problem> {
    let catalog = app.engine.catalog();
    let mut own = read(new, &Seen { app, catalog: &catalog, scope, before: None })?;
    finish(&mut own);
    let lsn = match app.engine.put_if(by, None, T::entity(own.clone())) {
        Err(EngineError::Changed) => return Err(exists::<T>(T::name_of(&own))),
        put => put?,
    };
    app.settle(lsn).await?;
    Ok(own)
}

/// Replaces one, and answers with it.
pub(super) async fn replace<T: Thing>(
    app: &App,
    by: Option<OperatorId>,
    if_match: &IfMatch,
    (scope, name): (T::Scope, &str),
    new: &T,
) -> Result<Response, Problem> {
    let (own, lsn) = change::<T>(app, by, scope, name, |catalog, before| {
        if_match.check(&Version::of(&T::shown(catalog, before)))?;
        let after = read(new, &Seen { app, catalog, scope, before: Some(before) })?;
        if T::name_of(&after) != name {
            return Err(Problem::invalid("name", "a name never changes; make a new one instead"));
        }
        Ok(Change { after, act: None })
    })?;
    app.settle(lsn).await?;
    Ok(etag::changed(StatusCode::OK, &T::shown(&app.engine.catalog(), &own)))
}

/// Changes one; what nobody has changed meanwhile stays as it was seen. Gives the thing as it is now, and the record to
/// wait for, 0 where nothing changed.
pub(super) fn change<T: Thing>(
    app: &App,
    by: Option<OperatorId>,
    scope: T::Scope,
    name: &str,
    edit: impl Fn(&Catalog, &T::Own) -> Result<Change<T::Own>, Problem>,
) -> Result<(T::Own, Lsn), Problem> {
    for _ in 0..TRIES_MAX {
        let catalog = app.engine.catalog();
        let before = T::find(&catalog, scope, name).ok_or_else(|| Problem::not_found(T::WHAT, name))?;
        let Change { after, act } = edit(&catalog, before)?;
        let (same, expected) = (after == *before, T::entity(before.clone()));
        let done = match act {
            None if same => return Ok((after, Lsn(0))),
            None => app.engine.put_if(by, Some(&expected), T::entity(after.clone())),
            Some(act) if same => app.engine.act(by, act),
            Some(act) => app.engine.put_with(by, Some(&expected), T::entity(after.clone()), act),
        };
        match done {
            Err(EngineError::Changed) => {}
            done => return Ok((after, done?)),
        }
    }
    Err(Problem::new(Kind::Unavailable, "others change it all the time; ask again"))
}

fn read<T: Thing>(new: &T, seen: &Seen<'_, T>) -> Result<T::Own, Problem> {
    let mut mistakes = Mistakes::default();
    let own = new.own(seen, &mut mistakes);
    mistakes.told()?;
    own.ok_or_else(|| Problem::new(Kind::Internal, "a mistake was not told"))
}

fn exists<T: Thing>(name: &str) -> Problem {
    Problem::new(Kind::Conflict, format!("there is a {} '{}' already", T::WHAT, crate::problem::shown(name)))
}

/// A name as one part of a path.
pub(super) fn segment(name: &str) -> String {
    form_urlencoded::byte_serialize(name.as_bytes()).collect::<String>().replace('+', "%20")
}

/// The schema of a choice of words, as they are written.
pub(super) fn choice<T: Serialize>(all: &[T], description: &str, default: Option<&T>) -> Schema {
    let word = |one: &T| serde_json::to_value(one).expect("a word is JSON");
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(all.iter().map(word)))
        .description(Some(description))
        .default(default.map(word))
        .into()
}

/// The same, or nothing.
pub(super) fn or_null(schema: Schema) -> Schema {
    OneOfBuilder::new().item(ObjectBuilder::new().schema_type(Type::Null)).item(schema).into()
}
