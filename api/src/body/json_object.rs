//! Any JSON object, for requests that are not scans: small, owned by nobody, without duplicate keys. Knows no field.

use super::json_general::{Pairs, split_value, with_tape};
use super::{BodyError, Scratch};
use simd_json::{Node, StaticNode};

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number that fits.
    Whole(i64),
    /// Any other number; one that is too large for the parser is 1e300.
    Number(f64),
    /// Text.
    Text(&'a str),
    /// A list.
    List(Vec<Value<'a>>),
    /// An object.
    Object(Object<'a>),
}

/// A JSON object, keys in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object<'a>(pub Vec<(&'a str, Value<'a>)>);

/// Reads a body that must be one JSON object. An empty body is an empty object: some requests need no field.
///
/// # Errors
/// What is not JSON, or a key that is there twice.
pub fn parse_object<'a>(body: &[u8], scratch: &'a mut Scratch) -> Result<Object<'a>, BodyError> {
    if body.trim_ascii().is_empty() {
        return Ok(Object::default());
    }
    with_tape(body, scratch, |nodes| object(nodes))
}

fn object<'a>(nodes: &[Node<'a>]) -> Result<Object<'a>, BodyError> {
    let mut object = Object::default();
    for pair in Pairs::of_object(nodes)? {
        let (key, nodes) = pair?;
        object.0.push((key, value(nodes)?));
    }
    let mut keys: Vec<&str> = object.0.iter().map(|(key, _)| *key).collect();
    keys.sort_unstable();
    match keys.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(twice) => Err(BodyError::whole(format!("the key '{}' is there twice; send it once", twice[0]))),
        None => Ok(object),
    }
}

/// Never deeper than the guard's limit.
fn value<'a>(nodes: &[Node<'a>]) -> Result<Value<'a>, BodyError> {
    Ok(match nodes.first() {
        None | Some(Node::Static(StaticNode::Null)) => Value::Null,
        Some(Node::Static(StaticNode::Bool(value))) => Value::Bool(*value),
        Some(Node::Static(StaticNode::I64(whole))) => Value::Whole(*whole),
        Some(Node::Static(StaticNode::U64(whole))) => {
            i64::try_from(*whole).map_or(Value::Number(*whole as f64), Value::Whole)
        }
        Some(Node::Static(StaticNode::F64(number))) => Value::Number(*number),
        Some(Node::String(text)) => Value::Text(text),
        Some(Node::Object { .. }) => Value::Object(object(nodes)?),
        Some(Node::Array { len, .. }) => {
            let mut list = Vec::with_capacity(*len);
            let mut rest = &nodes[1..];
            while !rest.is_empty() {
                let (first, others) = split_value(rest);
                list.push(value(first)?);
                rest = others;
            }
            Value::List(list)
        }
    })
}

// === impl Object ===

impl<'a> Object<'a> {
    /// A value by its key; `null` counts as absent.
    pub fn get(&self, key: &str) -> Option<&Value<'a>> {
        self.0
            .iter()
            .find(|(own, _)| *own == key)
            .map(|(_, value)| value)
            .filter(|value| **value != Value::Null)
    }

    /// A text by its key.
    ///
    /// # Errors
    /// It is there and is no text.
    pub fn text(&self, key: &'static str) -> Result<Option<&'a str>, BodyError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(_) => Err(BodyError::of(key, "must be text")),
        }
    }

    /// A whole number by its key.
    ///
    /// # Errors
    /// It is there and is no whole number.
    pub fn whole(&self, key: &'static str) -> Result<Option<i64>, BodyError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Whole(whole)) => Ok(Some(*whole)),
            Some(_) => Err(BodyError::of(key, "must be a whole number")),
        }
    }

    /// Yes or no by its key.
    ///
    /// # Errors
    /// It is there and is neither.
    pub fn flag(&self, key: &'static str) -> Result<Option<bool>, BodyError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(BodyError::of(key, "must be true or false")),
        }
    }

    /// An object by its key.
    ///
    /// # Errors
    /// It is there and is no object.
    pub fn object(&self, key: &'static str) -> Result<Option<&Object<'a>>, BodyError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(object)),
            Some(_) => Err(BodyError::of(key, "must be an object")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_key_and_type() {
        let mut scratch = Scratch::default();
        let body = br#"{"a":"x\n","n":-3,"y":true,"o":{"k":[1,{"z":2.5},[]],"l":null},"v":null}"#;
        let object = parse_object(body, &mut scratch).unwrap();
        assert_eq!(object.text("a"), Ok(Some("x\n")));
        assert_eq!(object.whole("n"), Ok(Some(-3)));
        assert_eq!(object.flag("y"), Ok(Some(true)));
        assert_eq!(object.text("v"), Ok(None));
        assert_eq!(object.text("n").unwrap_err().field, Some("n"));
        let inner = object.object("o").unwrap().unwrap();
        let list = [
            Value::Whole(1),
            Value::Object(Object(vec![("z", Value::Number(2.5))])),
            Value::List(Vec::new()),
        ];
        assert_eq!(inner.get("k"), Some(&Value::List(list.to_vec())));
    }

    #[test]
    fn a_key_that_is_there_twice_is_refused_at_every_level() {
        let mut scratch = Scratch::default();
        for body in [r#"{"a":1,"a":1}"#, r#"{"o":[{"a":1,"\u0061":null}]}"#] {
            let error = parse_object(body.as_bytes(), &mut scratch).unwrap_err();
            assert!(error.to_string().contains("'a' is there twice"), "{error}");
        }
    }

    #[test]
    fn an_empty_body_is_an_empty_object() {
        assert_eq!(parse_object(b" \r\n", &mut Scratch::default()), Ok(Object::default()));
    }
}
