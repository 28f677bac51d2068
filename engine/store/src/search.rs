//! How rows are found: conditions side by side, and tickets by their texts and codes: what a word is, what begins with
//! what, and the packed column of a ticket's codes. Knows no database; every one compares words and codes by their bytes.

use crate::words::Word;
use engine::ticket::{CodeKind, Details};
use std::collections::BTreeSet;

/// Words of a search that are looked at.
const SEARCH_WORDS_MAX: usize = 8;

/// Lines of the audit about something, alone or among others.
pub(crate) const AUDIT_ABOUT: &str = "lsn IN (SELECT lsn FROM audit WHERE subject = ? \
     UNION ALL SELECT lsn FROM audit_subjects WHERE subject = ?)";

/// A code with its kind.
pub(crate) type Code<'a> = (CodeKind, &'a [u8]);

/// The codes of a ticket in its own order, per code: kind `o` or `c`, length, bytes.
pub(crate) fn pack(details: &Details) -> Vec<u8> {
    let mut packed = Vec::new();
    for (kind, code) in details.codes() {
        packed.push(kind.word().as_bytes()[0]);
        packed.push(code.len() as u8);
        packed.extend_from_slice(code);
    }
    packed
}

/// The codes of a packed column; `None` when the lengths do not add up.
pub(crate) fn unpack(mut packed: &[u8]) -> Option<Vec<Code<'_>>> {
    let mut codes = Vec::new();
    while !packed.is_empty() {
        let (head, rest) = packed.split_at_checked(2)?;
        let kind = CodeKind::of_word(std::str::from_utf8(&head[..1]).ok()?)?;
        let (code, rest) = rest.split_at_checked(usize::from(head[1]))?;
        codes.push((kind, code));
        packed = rest;
    }
    Some(codes)
}

/// The conditions whose value is set, joined; each `?` becomes `mark` and its value's number, as the database wants it.
pub(crate) fn joined<V>(
    wanted: impl IntoIterator<Item = (&'static str, Option<V>)>,
    mark: char,
) -> (String, Vec<V>) {
    let mut values = Vec::new();
    (joined_after(wanted, mark, &mut values), values)
}

/// As [`joined`], where the question has other values before them.
pub(crate) fn joined_after<V>(
    wanted: impl IntoIterator<Item = (&'static str, Option<V>)>,
    mark: char,
    values: &mut Vec<V>,
) -> String {
    let sql = all_of(wanted, mark, values);
    if sql.is_empty() { sql } else { format!("WHERE {sql} ") }
}

/// As [`joined_after`], as one expression; empty where no value is set.
pub(crate) fn all_of<V>(
    wanted: impl IntoIterator<Item = (&'static str, Option<V>)>,
    mark: char,
    values: &mut Vec<V>,
) -> String {
    let mut all = Vec::new();
    for (condition, value) in wanted {
        let Some(value) = value else { continue };
        values.push(value);
        all.push(condition.replace('?', &format!("{mark}{}", values.len())));
    }
    all.join(" AND ")
}

/// The words a ticket is found by.
pub(crate) fn words_of(details: &Details) -> impl Iterator<Item = String> + '_ {
    [details.holder(), details.reference(), details.order()].into_iter().flat_map(words_in)
}

/// Of a ticket whose texts (holder, reference, order) were `before`: words it is found by no longer, and those that are
/// new.
pub(crate) fn words_moved(before: &[String; 3], now: &Details) -> (Vec<String>, Vec<String>) {
    let before: BTreeSet<String> = before.iter().flat_map(|text| words_in(text)).collect();
    let now: BTreeSet<String> = words_of(now).collect();
    let only = |these: &BTreeSet<String>, those| these.difference(those).cloned().collect();
    (only(&before, &now), only(&now, &before))
}

/// Of a ticket whose packed codes were `before`: codes it has no longer, and those that are new. `None`: they do not
/// add up.
pub(crate) fn codes_moved<'d>(before: &'d [u8], now: &'d Details) -> Option<(Vec<Code<'d>>, Vec<Code<'d>>)> {
    let (before, now): (Vec<Code<'_>>, Vec<Code<'_>>) = (unpack(before)?, now.codes().collect());
    let only = |these: &[Code<'d>], those: &[Code<'d>]| {
        these.iter().filter(|code| !those.contains(code)).copied().collect()
    };
    Some((only(&before, &now), only(&now, &before)))
}

/// Words of a text, as they are compared.
fn words_in(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split_whitespace().map(str::to_lowercase)
}

/// All words that begin with one.
#[derive(Clone, Debug)]
pub(crate) struct WordRange {
    /// The first of them.
    pub begin: String,
    /// What comes after the last of them.
    pub end: String,
}

/// The words of a search; of more than are looked at the longest.
pub(crate) fn search_words(text: &str) -> Vec<WordRange> {
    let mut words: Vec<String> = words_in(text).collect();
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    words.truncate(SEARCH_WORDS_MAX);
    words
        .into_iter()
        .map(|begin| {
            let end = format!("{begin}{}", char::MAX);
            WordRange { begin, end }
        })
        .collect()
}

/// The first bytes that come after all that begin with `prefix`; `None`: there are none.
pub(crate) fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte < u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

/// The bytes of a card whose number this is in hexadecimal; `None`: it is no such number.
pub(crate) fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    if text.is_empty() || !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit())
    {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}
