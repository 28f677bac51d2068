//! stub
use super::report::Report;
/// page
pub fn page(_report: &Report) -> String {
    String::new()
}
