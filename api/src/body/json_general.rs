//! JSON of any shape: the guard, then simd-json, then a walk over its tape. Knows the grammar's outcome, not which
//! field means what.

use super::fields::{Field, Fields, Scalar, Shape};
use super::{BodyError, Scratch, Wire, json_guard};
use simd_json::{Node, StaticNode, Tape};

/// The fields of a JSON object, whatever else it holds.
pub(super) fn fields<'a>(
    body: &[u8],
    scratch: &'a mut Scratch,
    shape: Shape,
) -> Result<Fields<'a>, BodyError> {
    with_tape(body, scratch, |nodes| {
        let mut fields = Fields::of(Wire::Json);
        for pair in Pairs::of_object(nodes)? {
            let (key, value) = pair?;
            if let Some(field) = Field::of(key, shape) {
                fields.set(field, scalar(value))?;
            }
        }
        Ok(fields)
    })
}

/// Parses a copy of the body, as the parser unescapes in place, and hands out its tape.
pub(super) fn with_tape<'a, T>(
    body: &[u8],
    scratch: &'a mut Scratch,
    read: impl FnOnce(&[Node<'a>]) -> Result<T, BodyError>,
) -> Result<T, BodyError> {
    let Scratch { bytes, buffers, tape: kept } = scratch;
    bytes.clear();
    bytes.extend_from_slice(body);
    json_guard::guard(bytes)?;
    let mut tape: Tape<'a> = std::mem::replace(&mut kept.0, Tape(Vec::new())).reset();
    let filled = simd_json::fill_tape(bytes, buffers, &mut tape).map_err(|error| not_json(body, &error));
    let result = filled.and_then(|()| read(&tape.0));
    kept.0 = tape.reset();
    result
}

/// A tape that is empty between parses; it only keeps its memory.
pub(super) struct KeptTape(Tape<'static>);

impl Default for KeptTape {
    fn default() -> KeptTape {
        KeptTape(Tape(Vec::new()))
    }
}

fn not_json(body: &[u8], error: &simd_json::Error) -> BodyError {
    if std::str::from_utf8(body).is_err() {
        return BodyError::whole("not valid JSON: bytes that are not UTF-8");
    }
    let at = error.index().min(body.len());
    BodyError::whole(format!("not valid JSON near byte {at}; send one object such as {{\"qr_data\":\"…\"}}"))
}

fn scalar<'a>(value: &[Node<'a>]) -> Scalar<'a> {
    match value.first() {
        Some(Node::String(text)) => Scalar::Text(text),
        Some(Node::Static(StaticNode::U64(whole))) => Scalar::Whole(*whole),
        Some(Node::Static(StaticNode::Bool(value))) => Scalar::Bool(*value),
        Some(Node::Static(StaticNode::I64(_) | StaticNode::F64(_))) => Scalar::Number,
        Some(Node::Array { .. }) => Scalar::List,
        Some(Node::Object { .. }) => Scalar::Object,
        Some(Node::Static(StaticNode::Null)) | None => Scalar::Null,
    }
}

/// Keys and values of an object, the values as their part of the tape.
pub(super) struct Pairs<'t, 'a> {
    rest: &'t [Node<'a>],
}

impl<'t, 'a> Pairs<'t, 'a> {
    pub(super) fn of_object(nodes: &'t [Node<'a>]) -> Result<Pairs<'t, 'a>, BodyError> {
        match nodes.split_first() {
            Some((Node::Object { count, .. }, rest)) if rest.len() >= *count => {
                Ok(Pairs { rest: &rest[..*count] })
            }
            _ => Err(BodyError::whole(
                "must be one JSON object; uploads of many scans go to /api/access/offline",
            )),
        }
    }
}

impl<'t, 'a> Iterator for Pairs<'t, 'a> {
    type Item = Result<(&'a str, &'t [Node<'a>]), BodyError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (key, rest) = self.rest.split_first()?;
        let (value, rest) = split_value(rest);
        self.rest = rest;
        match key {
            Node::String(key) if !value.is_empty() => Some(Ok((key, value))),
            _ => {
                self.rest = &[];
                Some(Err(BodyError::whole("not valid JSON: a key without a value")))
            }
        }
    }
}

/// The first value of a run of nodes, with all it holds, and what follows it.
pub(super) fn split_value<'t, 'a>(nodes: &'t [Node<'a>]) -> (&'t [Node<'a>], &'t [Node<'a>]) {
    let len = match nodes.first() {
        Some(Node::Object { count, .. } | Node::Array { count, .. }) => count + 1,
        Some(_) => 1,
        None => 0,
    };
    nodes.split_at_checked(len).unwrap_or((&[], &[]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(json: &str) -> bool {
        fields(json.as_bytes(), &mut Scratch::default(), Shape::Request).is_ok()
    }

    #[test]
    fn what_the_simd_parser_alone_would_wrongly_take_is_refused() {
        for json in [
            r#"{"x":"\ud800"}"#,
            r#"{"x":"\udc00"}"#,
            r#"{"x":"\ud800x"}"#,
            r#"{"x":"\ud800\ue000"}"#,
            r#"{"x":"\ud800\ud800"}"#,
            r#"{"x":1234567890123456789x}"#,
            r#"{"x":1.2345678901234567890x}"#,
            r#"{"x":0123}"#,
            r#"{"x":-}"#,
            r#"{"x":1.}"#,
            r#"{"x":.5}"#,
            r#"{"x":1e}"#,
            r#"{"x":+1}"#,
            r#"{"x":NaN}"#,
            "{\"x\":null\0}",
            "{\"x\":true\u{b}}",
            "{\"x\":1\0}",
            "\u{c}{}",
        ] {
            assert!(!accepts(json), "{json}");
        }
    }

    #[test]
    fn what_the_simd_parser_alone_would_wrongly_refuse_is_taken() {
        for json in [
            r#"{"x":123456789012345678901234567890}"#,
            r#"{"x":-9223372036854775809}"#,
            r#"{"x":1e999}"#,
            r#"{"x":1e-99999999999999999999}"#,
            r#"{"x":1E+100,"y":[1e100]}"#,
            r#"{"x":0.000000000000000000000000001}"#,
        ] {
            assert!(accepts(json), "{json}");
        }
    }

    #[test]
    fn thirty_two_levels_are_taken_and_thirty_three_are_refused() {
        let nested =
            |levels: usize| format!("{{\"x\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
        assert!(accepts(&nested(32)));
        assert!(!accepts(&nested(33)));
        assert!(!accepts(&"[".repeat(16_000)));
    }
}
