//! What the columns of lists are called: our names, what others call them, and what somebody says they are. Knows no rows.

use serde_json::Value;
use std::collections::BTreeMap;

/// Columns a list may have; `code` (or `card`) and `type` it must.
pub const COLUMNS: [&str; 13] = [
    "code",
    "more_codes",
    "card",
    "ticket_id",
    "type",
    "holder",
    "order",
    "seat",
    "valid_from",
    "valid_until",
    "status",
    "specimen",
    "checked_at",
];

/// Columns of a list at the most: no seller writes so many.
pub const COLUMNS_MAX: usize = 256;
/// Longest name of a column, in bytes.
const NAME_BYTES_MAX: usize = 256;

/// What others call our columns: small letters and digits alone.
const SYNONYMS: [(&str, &[&str]); 13] = [
    ("code", &["barcode", "qrcode", "qr", "ticketcode", "ean", "codebarre", "codebarres", "strichcode"]),
    ("more_codes", &["morecodes", "othercodes"]),
    ("card", &["cards", "carduid", "cardnumber", "uid", "rfid", "nfc", "chip"]),
    ("ticket_id", &["ticketid", "ticketnumber", "ticketno", "ticketnr", "reference", "ticketreference"]),
    ("type", &["tickettype", "category", "product", "tariff", "kategorie", "categorie", "tarif"]),
    ("holder", &["name", "holdername", "fullname", "guest", "attendee", "customer", "inhaber", "nom"]),
    ("order", &["orderid", "ordernumber", "orderno", "ordernr", "booking", "bestellnummer", "commande"]),
    ("seat", &["seatnumber", "seatlabel", "place", "platz", "sitz", "siege"]),
    ("valid_from", &["validfrom", "gueltigab"]),
    ("valid_until", &["validuntil", "validto", "validtill", "expires", "gueltigbis"]),
    ("status", &["state", "ticketstatus"]),
    ("specimen", &["isspecimen", "test", "istest"]),
    ("checked_at", &["checkedat", "checked", "scannedat"]),
];

/// Columns of our own exports that say what a ticket has done: an import passes over them.
const TOLD_ONLY: [&str; 8] =
    ["ticket", "event", "used", "inside", "zone", "first_at", "first_gate", "last_at"];

/// What somebody says columns are: a name to one of [`COLUMNS`], or to nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapping(BTreeMap<String, Option<usize>>);

impl Mapping {
    /// Reads `{"Barcode": "code", "Remark": null}`. With a mapping, columns that nobody knows are passed over.
    ///
    /// # Errors
    /// What of it cannot be, in words.
    pub fn parse(text: &str) -> Result<Mapping, String> {
        let meant = "a JSON object of column names is meant, such as {\"Barcode\":\"code\",\"Remark\":null}";
        let Ok(Value::Object(object)) = serde_json::from_str(text) else { return Err(meant.to_owned()) };
        if object.len() > COLUMNS_MAX {
            return Err(format!("it names {} columns, {COLUMNS_MAX} is the most", object.len()));
        }
        let target = |name: &str, value: &Value| match value {
            Value::Null => Ok(None),
            Value::String(own) => match position(own) {
                Some(position) => Ok(Some(position)),
                None => Err(format!("'{own}' is not one of {}", COLUMNS.join(", "))),
            },
            _ => Err(format!("'{name}': {meant}")),
        };
        object
            .iter()
            .map(|(name, value)| Ok((folded(name), target(name, value)?)))
            .collect::<Result<_, _>>()
            .map(Mapping)
    }

    /// What a column is by this mapping; `None`: it says nothing of it.
    pub(crate) fn of(&self, name: &str) -> Option<Option<usize>> {
        self.0.get(&folded(name)).copied()
    }
}

fn folded(name: &str) -> String {
    name.trim().to_lowercase()
}

fn position(column: &str) -> Option<usize> {
    COLUMNS.iter().position(|own| *own == column)
}

/// The column of a name, ours or another's.
pub(crate) fn known(name: &str) -> Option<usize> {
    let name = folded(name);
    let bare: String = name.chars().filter(|c| c.is_alphanumeric()).collect();
    position(&name).or_else(|| SYNONYMS.iter().position(|(_, others)| others.contains(&bare.as_str())))
}

/// What each column of a list is, `None` where it is passed over; and what is wrong with the names, in words.
pub(crate) fn targets(names: &[String], mapping: Option<&Mapping>) -> (Vec<Option<usize>>, Option<String>) {
    let said: Vec<Option<Option<usize>>> =
        names.iter().map(|name| mapping.and_then(|mapping| mapping.of(name))).collect();
    let mut targets = Vec::with_capacity(names.len());
    let mut problem = None;
    for (name, own) in names.iter().zip(&said) {
        let target = match own {
            Some(own) => *own,
            // What somebody says goes before what we suppose.
            None => known(name).filter(|column| !said.contains(&Some(Some(*column)))),
        };
        let is_known = own.is_some() || target.is_some() || TOLD_ONLY.contains(&folded(name).as_str());
        if !is_known && mapping.is_none() {
            let name: String = name.chars().take(80).collect();
            let all = COLUMNS.join(", ");
            problem.get_or_insert(format!(
                "unknown column '{name}'; the first line names the columns, of these: {all}"
            ));
        }
        if target.is_some() && targets.contains(&target) {
            let column = target.map_or("", |column| COLUMNS[column]);
            problem.get_or_insert(format!(
                "two columns are '{column}', the second is '{name}'; map one of them to null"
            ));
        }
        targets.push(target);
    }
    (targets, problem)
}

/// What is missing among the columns, in words. A type need not stand in the list where it is said beside it.
pub(crate) fn missing(targets: &[Option<usize>], has_type: bool) -> Option<String> {
    let has = |name: &str| targets.contains(&position(name));
    let all = COLUMNS.join(", ");
    let missing = |name: &str| {
        format!("there is no column '{name}'; the first line names the columns, of these: {all}")
    };
    if !has("code") && !has("card") {
        return Some(missing("code"));
    }
    (!has_type && !has("type")).then(|| missing("type"))
}

/// Is the name short enough, and are there not too many?
pub(crate) fn check(names: &[String]) -> Result<(), String> {
    if names.len() > COLUMNS_MAX {
        return Err(format!("the first line names {} columns, {COLUMNS_MAX} is the most", names.len()));
    }
    match names.iter().find(|name| name.len() > NAME_BYTES_MAX) {
        Some(_) => Err(format!("a column's name is longer than {NAME_BYTES_MAX} bytes")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str], mapping: Option<&str>) -> Result<Vec<&'static str>, String> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mapping = mapping.map(|text| Mapping::parse(text).unwrap());
        let (targets, problem) = targets(&names, mapping.as_ref());
        let shown = targets.iter().map(|target| target.map_or("-", |column| COLUMNS[column])).collect();
        problem.map_or(Ok(shown), Err)
    }

    #[test]
    fn columns_are_known_by_what_others_call_them() {
        assert_eq!(
            named(&["Barcode", "Name", "Ticket ID", "SEAT"], None).unwrap(),
            ["code", "holder", "ticket_id", "seat"]
        );
        assert_eq!(named(&["code", "first_at"], None).unwrap(), ["code", "-"], "our own exports say more");
        assert!(named(&["code", "Remark"], None).unwrap_err().contains("unknown column 'Remark'"));
        assert!(named(&["code", "Barcode"], None).unwrap_err().contains("two columns are 'code'"));
    }

    #[test]
    fn what_somebody_says_goes_first() {
        let mapping = Some(r#"{"EAN":"code","Name":null}"#);
        assert_eq!(named(&["Barcode", "ean", "Name", "Remark"], mapping).unwrap(), ["-", "code", "-", "-"]);
        assert!(Mapping::parse(r#"{"EAN":"colour"}"#).unwrap_err().contains("not one of"));
        for wrong in ["", "[]", "{\"a\":1}", "\"code\""] {
            assert!(Mapping::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_column_has_its_synonyms_and_no_two_share_one() {
        let mut all: Vec<&str> = SYNONYMS.iter().flat_map(|(_, others)| others.iter().copied()).collect();
        assert_eq!(SYNONYMS.map(|(name, _)| name), COLUMNS);
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
