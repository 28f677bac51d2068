//! Pages: lists of bounded length, and the cursor to what follows. A cursor is opaque: it holds where the page ended, so
//! that rows which come or go meanwhile make nothing appear twice or be left out.

use crate::problem::Problem;
use axum::extract::OriginalUri;
use axum::http::{HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Items in a page where nothing else is asked for.
const ITEMS_DEFAULT: u32 = 50;
/// Items in a page at most.
pub const ITEMS_MAX: u32 = 500;
/// Longest cursor that is read, in bytes.
const CURSOR_BYTES_MAX: usize = 1_024;

/// Which page.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PageParams {
    /// How many items at most.
    #[param(minimum = 1, maximum = 500, default = 50)]
    pub limit: Option<u32>,
    /// The `next` of the page before; left out: the first page.
    pub after: Option<String>,
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T: ToSchema> {
    /// The items.
    pub items: Vec<T>,
    /// Cursor to the next page: send it as `after`. `null`: this is the last one. Also in the header `Link`.
    pub next: Option<String>,
}

impl PageParams {
    /// How many items.
    ///
    /// # Errors
    /// None, or more than there may be.
    pub fn limit(&self) -> Result<usize, Problem> {
        limit(self.limit)
    }

    /// Where the page before ended.
    ///
    /// # Errors
    /// A cursor that this list did not give.
    pub fn after<T: for<'de> Deserialize<'de>>(&self) -> Result<Option<T>, Problem> {
        place(self.after.as_deref())
    }
}

/// How many items a parameter `limit` means.
///
/// # Errors
/// None, or more than there may be.
pub fn limit(limit: Option<u32>) -> Result<usize, Problem> {
    match limit {
        None => Ok(ITEMS_DEFAULT as usize),
        Some(limit) if (1..=ITEMS_MAX).contains(&limit) => Ok(limit as usize),
        Some(_) => Err(Problem::malformed("limit", format!("a number from 1 to {ITEMS_MAX} is meant"))),
    }
}

/// The place that a parameter `after` means.
///
/// # Errors
/// A cursor that this list did not give.
pub fn place<T: for<'de> Deserialize<'de>>(cursor: Option<&str>) -> Result<Option<T>, Problem> {
    let Some(cursor) = cursor else { return Ok(None) };
    let bytes = (cursor.len() <= CURSOR_BYTES_MAX).then(|| URL_SAFE_NO_PAD.decode(cursor).ok()).flatten();
    let place = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    place
        .map(Some)
        .ok_or_else(|| Problem::malformed("after", "this is no cursor of this list; begin without one"))
}

/// The cursor of a place.
pub fn cursor(place: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(place).expect("a place is JSON"))
}

impl<T: Serialize + ToSchema> Page<T> {
    /// A page of up to `limit` items, made of `limit + 1` where there are more; `place` tells where an item stands.
    pub fn of<P: Serialize>(mut items: Vec<T>, limit: usize, place: impl Fn(&T) -> P) -> Page<T> {
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(|last| cursor(&place(last)));
        Page { items, next }
    }

    /// The answer, with a `Link` to the next page.
    pub fn answer(self, OriginalUri(uri): &OriginalUri) -> Response {
        let link = self.next.as_deref().and_then(|next| link(uri, next));
        let mut response = axum::Json(self).into_response();
        if let Some(link) = link {
            response.headers_mut().insert(header::LINK, link);
        }
        response
    }
}

fn link(uri: &Uri, next: &str) -> Option<HeaderValue> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    let own = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    query.extend_pairs(own.filter(|(name, _)| name != "after"));
    query.append_pair("after", next);
    HeaderValue::from_str(&format!("<{}?{}>; rel=\"next\"", uri.path(), query.finish())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_tells_where_the_next_one_begins_and_keeps_the_other_parameters() {
        let page = Page::of(vec![1u32, 2, 3], 2, |item| *item);
        assert_eq!(page.items, [1, 2]);
        let params = PageParams { limit: None, after: page.next.clone() };
        assert_eq!(params.after::<u32>().unwrap(), Some(2));
        let response = page.answer(&OriginalUri("/api/v1/x?after=old&limit=2&q=a%26b".parse().unwrap()));
        let link = response.headers()[header::LINK].to_str().unwrap();
        assert!(link.starts_with("</api/v1/x?limit=2&q=a%26b&after="), "{link}");
        assert!(Page::of(vec![1u32, 2], 2, |item| *item).next.is_none());
    }

    #[test]
    fn what_is_no_cursor_is_told() {
        for wrong in ["", "x", "!!!!", &"A".repeat(5_000)] {
            let params = PageParams { limit: None, after: Some(wrong.to_owned()) };
            assert!(params.after::<u64>().is_err(), "{wrong}");
        }
        for wrong in [0, 501] {
            assert!(PageParams { limit: Some(wrong), after: None }.limit().is_err());
        }
    }
}
