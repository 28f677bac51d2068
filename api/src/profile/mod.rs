//! Device profiles: how a kind of reader is answered, as data. Knows templates, limits and what must never be sent;
//! knows no socket and no rule of admission.
//!
//! | file | owns |
//! |---|---|
//! | `builtin.toml` | the built-in profiles |
//! | `load.rs` | TOML to profiles, every mistake reported |
//! | `template.rs` | templates: placeholders, and what a message may be within one |
//! | `safety.rs` | the templates that could open a gate by a refusal, refused at load |
//! | `message.rs` | what people read, one line per reason |
//! | `render.rs`, `json.rs` | replies: facts to bytes |

mod json;
mod load;
mod message;
pub mod render;
mod safety;
mod template;

use engine::Time;
use engine::catalog::{CardFormat, Catalog, Device};
use engine::decision::Answer;
pub use render::Rendering;

/// What an answer says, for staff: the sentence that devices show.
pub fn words(answer: &Answer, catalog: &Catalog) -> String {
    message::message(answer, catalog).as_str().to_owned()
}

use template::{Limits, Template};

/// The profile with the id 0: of devices whose profile is not known, and of requests from nobody known. No reader
/// takes it for an admission.
pub const DEFAULT_PROFILE: &str = "json-v1";

/// Profiles there may be.
pub const PROFILES_MAX: usize = 64;

/// A profile's place in the list; 0 is our own JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ProfileId(pub u32);

/// How a kind of device is answered.
#[derive(Clone, Debug)]
pub struct Profile {
    name: String,
    /// Lives as long as the program: profiles are read once.
    content_type: &'static str,
    card_format: Option<CardFormat>,
    cards_on_scan: bool,
    heartbeat_code: Option<String>,
    budget_ms: u32,
    reply: Reply,
}

/// In which form the reply is.
#[derive(Clone, Debug)]
enum Reply {
    /// Our own JSON.
    Json,
    /// Templates of the profile.
    Templates(Box<Templates>),
}

/// One reply for each outcome.
#[derive(Clone, Debug)]
struct Templates {
    allow: Template,
    deny: Template,
    error: Template,
    heartbeat: Template,
    limits: Limits,
    sounds: Sounds,
}

/// What a device calls its sounds.
#[derive(Clone, Debug)]
struct Sounds {
    success: String,
    warning: String,
    error: String,
}

/// What a device plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sound {
    /// Pass.
    Success,
    /// Used already, or pass while staff should look.
    Warning,
    /// Do not pass.
    Error,
}

/// Every profile there is.
#[derive(Clone, Debug)]
pub struct Profiles {
    /// Never empty: our own JSON comes first.
    list: Vec<Profile>,
}

// === impl Profile ===

impl Profile {
    /// Its name, as a device's settings give it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `Content-Type` of its replies.
    pub fn content_type(&self) -> &'static str {
        self.content_type
    }

    /// How its devices write card numbers, unless a device says otherwise.
    pub fn card_format(&self) -> Option<CardFormat> {
        self.card_format
    }

    /// May a scanned text be a card's number? Some readers send both alike.
    pub fn cards_on_scan(&self) -> bool {
        self.cards_on_scan
    }

    /// After so long the error reply leaves rather than a late answer the device no longer hears, in milliseconds.
    pub fn budget_ms(&self) -> u32 {
        self.budget_ms
    }

    /// Are its replies our own JSON?
    pub fn is_json(&self) -> bool {
        matches!(self.reply, Reply::Json)
    }

    /// Is this text the device's heartbeat rather than a code? Such a text is never looked up as a ticket.
    pub fn is_heartbeat(&self, device: &Device, code: &str) -> bool {
        let is =
            |sentinel: &Option<String>| sentinel.as_deref().is_some_and(|own| !own.is_empty() && own == code);
        is(&device.heartbeat_code) || is(&self.heartbeat_code)
    }
}

// === impl Sound ===

impl Sound {
    fn name(self) -> &'static str {
        match self {
            Sound::Success => "success",
            Sound::Warning => "warning",
            Sound::Error => "error",
        }
    }
}

impl Sounds {
    fn of(&self, sound: Sound) -> &str {
        match sound {
            Sound::Success => &self.success,
            Sound::Warning => &self.warning,
            Sound::Error => &self.error,
        }
    }
}

// === impl Profiles ===

impl Profiles {
    /// The built-in profiles and those of a settings file.
    ///
    /// # Errors
    /// Every mistake, each with its profile and what to do.
    pub fn load(extra: Option<&str>) -> Result<Profiles, Vec<String>> {
        load::load(extra)
    }

    /// The profile of an id; one that was never given is our own JSON.
    pub fn get(&self, id: ProfileId) -> &Profile {
        self.list.get(id.0 as usize).unwrap_or(&self.list[0])
    }

    /// The id of a name, 0 when there is none. A handful of comparisons.
    pub fn id_of(&self, name: &str) -> ProfileId {
        ProfileId(self.list.iter().position(|profile| profile.name == name).unwrap_or(0) as u32)
    }

    /// Is there a profile of this name?
    pub fn contains(&self, name: &str) -> bool {
        self.list.iter().any(|profile| profile.name == name)
    }

    /// Every profile with its id.
    pub fn iter(&self) -> impl Iterator<Item = (ProfileId, &Profile)> {
        self.list.iter().enumerate().map(|(id, profile)| (ProfileId(id as u32), profile))
    }
}

/// A moment as `2024-01-15T10:30:00Z`.
pub fn rfc3339(at: Time) -> String {
    let mut out = Vec::with_capacity(20);
    crate::body::rfc3339::write(at, &mut out);
    String::from_utf8(out).unwrap_or_default()
}
