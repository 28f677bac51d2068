//! Why a body was refused, in words for the person who wires the device. Knows no HTTP status.

/// What is wrong with a body, where, and what to do. Its text is `malformed_request`'s message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyError {
    /// The field it is about; `None`: the body as a whole.
    pub field: Option<&'static str>,
    /// What is wrong and what to do.
    pub problem: String,
}

impl BodyError {
    /// Something is wrong with this field.
    pub fn of(field: &'static str, problem: impl Into<String>) -> BodyError {
        BodyError { field: Some(field), problem: problem.into() }
    }

    /// Something is wrong with the body as a whole.
    pub fn whole(problem: impl Into<String>) -> BodyError {
        BodyError { field: None, problem: problem.into() }
    }
}

impl std::fmt::Display for BodyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.field {
            Some(field) => write!(f, "{field}: {}", self.problem),
            None => f.write_str(&self.problem),
        }
    }
}

impl std::error::Error for BodyError {}
