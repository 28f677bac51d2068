//! What the tests of the engine share: a venue to scan at, a language for decision tables. Knows the engine's
//! public face only.

#![allow(dead_code, reason = "each test program uses its part of what is shared")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

pub mod build;
pub mod pausing;
pub mod reference;
pub mod table;
