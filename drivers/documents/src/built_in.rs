//! The templates that come with Gatehouse: files beside this crate, to be used or to begin one's own from.

use crate::Template;

/// Name and file of each.
pub const BUILT_IN: [(&str, &str); 9] = [
    ("badge", include_str!("../templates/badge.toml")),
    ("counter", include_str!("../templates/counter.toml")),
    ("denied", include_str!("../templates/denied.toml")),
    ("denied-display", include_str!("../templates/denied-display.toml")),
    ("idle", include_str!("../templates/idle.toml")),
    ("receipt", include_str!("../templates/receipt.toml")),
    ("ticket", include_str!("../templates/ticket.toml")),
    ("welcome", include_str!("../templates/welcome.toml")),
    ("wristband", include_str!("../templates/wristband.toml")),
];

/// The one with this name.
pub fn built_in(name: &str) -> Option<Template> {
    let (name, text) = BUILT_IN.iter().find(|(known, _)| *known == name)?;
    Some(Template::parse(name, text).expect("a test parses every built-in template"))
}
