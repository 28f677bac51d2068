//! JSON bodies from the outside: the two readers agree with each other and with another JSON library, over
//! mutations, generated objects and a table of cases.

use api::body::{BodyError, Fields, Presented, Scratch, Wire, fuzz_scan, parse_request, parse_scan};
use engine::catalog::{CardFormat, Direction};
use proptest::prelude::*;

const PLAN: &str = r#"{"device_id":"KQT300_001","qr_data":"TICKET_QR_CODE_123","timestamp":"2024-01-15T10:30:00Z","location":"ENTRANCE_01","api_key":"device_api_key_here"}"#;

const CORPUS: [&str; 12] = [
    PLAN,
    r#"{"qr_data":"A","people":3,"direction":"exit","scan_id":"s-1","override_reason":"lost child"}"#,
    r#"{ "qr_data" : "Zürich \u00e9\uD83D\uDE00" , "x" : [1, -2.5e3, {"y": null}], "z": true }"#,
    r#"{"card_uid":"04:A1:B2:C3","byte_order":"little","card_format":null}"#,
    r#"{"vgdecoderesult":"X&&devicenumber=9","devicenumber":"001","otherparams":""}"#,
    r#"{"nonce":"n","qr_data":"\"\\\/\b","extra":"\ud800\udc00"}"#,
    r#"{"qr_data":"A","n":123456789012345678901234567890,"m":1e999,"k":-0.0,"j":-0}"#,
    r#"{"timestamp":"2024-01-15T10:30:00.123+01:00","qr_data":"B","people":1000}"#,
    r#"{"api_key":"k","operator_token":"t","qr_data":"C","deep":[[[[[[[[]]]]]]]]}"#,
    r#"{}"#,
    r#"{"a":false,"b":null,"qr_data":"D","c":"","d":{},"e":[]}"#,
    "\n\t {\r\n\"qr_data\"\t:\"E\"\n}\r\n ",
];

/// A small generator of its own, so that a seed gives the same cases for ever.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

const TOKENS: [&str; 34] = [
    "\"",
    "\\",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\\u",
    "\\ud800",
    "\\udc00",
    "null",
    "true",
    "-",
    "0",
    "01",
    "1e400",
    "99999999999999999999",
    "\u{0}",
    "\u{1f}",
    "é",
    "\u{85}",
    " ",
    "\\n",
    "\"qr_data\":\"T\",",
    "\"people\":2,",
    "\"scan_id\":null,",
    "[[[[[[[[",
    ".5",
    "E+",
    "\u{feff}",
    "\\ude00",
    "1234567890123456789x",
    "/",
];

fn mutated(random: &mut Random) -> Vec<u8> {
    let mut bytes = CORPUS[random.below(CORPUS.len())].as_bytes().to_vec();
    for _ in 0..1 + random.below(3) {
        let at = random.below(bytes.len() + 1);
        match random.below(6) {
            0 if at < bytes.len() => bytes[at] = random.below(256) as u8,
            1 if at < bytes.len() => drop(bytes.remove(at)),
            2 => bytes.truncate(at),
            3 => {
                let other = CORPUS[random.below(CORPUS.len())].as_bytes();
                let from = random.below(other.len());
                let to = from + random.below(other.len() - from);
                bytes.splice(at..at, other[from..to].iter().copied());
            }
            _ => drop(bytes.splice(at..at, TOKENS[random.below(TOKENS.len())].bytes())),
        }
    }
    bytes
}

/// Does another JSON library take it? A number that is too large for it is still JSON.
fn reference(body: &[u8]) -> Result<serde_json::Value, bool> {
    serde_json::from_slice::<serde_json::Value>(body)
        .map_err(|error| error.to_string().contains("number out of range"))
}

fn depth(body: &[u8]) -> usize {
    let (mut depth, mut deepest, mut text, mut escaped) = (0_usize, 0, false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if text => escaped = true,
            b'"' => text = !text,
            b'{' | b'[' if !text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Our outcome against the other library's.
fn agree(body: &[u8]) {
    if !body.trim_ascii_start().starts_with(b"{") {
        return;
    }
    let mut scratch = Scratch::default();
    let ours = parse_request(body, &mut scratch);
    let text = String::from_utf8_lossy(body).into_owned();
    match (&ours, reference(body)) {
        (Ok(fields), Ok(value)) => same_fields(fields, &value, &text),
        (Ok(_), Err(out_of_range)) => assert!(out_of_range, "taken, but not JSON: {text}"),
        (Err(error), Ok(_)) => {
            assert!(error.field.is_some() || depth(body) > 32, "JSON, but refused with {error}: {text}");
        }
        (Err(error), Err(out_of_range)) => {
            assert!(error.field.is_none() || out_of_range || depth(body) > 100, "{error}: {text}");
        }
    }
}

fn same_fields(fields: &Fields<'_>, value: &serde_json::Value, text: &str) {
    let theirs = |name: &str| value.get(name).and_then(|value| value.as_str());
    assert_eq!(fields.device, theirs("device_id"), "{text}");
    assert_eq!(fields.location, theirs("location"), "{text}");
    assert_eq!(fields.timestamp, theirs("timestamp"), "{text}");
    assert_eq!(fields.scan_id, theirs("scan_id").or(theirs("nonce")), "{text}");
    let code = theirs("qr_data").or(theirs("vgdecoderesult")).or(theirs("vgdecoderresult"));
    assert_eq!(fields.code, code.map(|code| code.trim_end_matches(['\r', '\n', ' '])), "{text}");
    assert_eq!(
        fields.people.map(u64::from),
        value.get("people").and_then(|people| people.as_u64()),
        "{text}"
    );
}

#[test]
fn sixty_thousand_mutations_are_read_alike_by_both_readers_and_by_another_library() {
    let seed = 0x6A7E_0005_E000_0001;
    println!("seed {seed:#x}");
    let mut random = Random(seed);
    let (mut taken, mut cases) = (0, 0);
    for _ in 0..60_000 {
        let body = mutated(&mut random);
        fuzz_scan(&body);
        agree(&body);
        taken += usize::from(parse_request(&body, &mut Scratch::default()).is_ok());
        cases += 1;
    }
    println!("{taken} of {cases} taken");
    assert!(
        taken > cases / 20 && taken < cases * 19 / 20,
        "{taken} of {cases}: the mutations test one side only"
    );
}

fn any_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        (0_u64..1_200).prop_map(serde_json::Value::from),
        any::<f64>().prop_map(serde_json::Value::from),
        ".{0,12}".prop_map(serde_json::Value::from),
        "[A-Za-z0-9_-]{1,20}".prop_map(serde_json::Value::from),
        Just(serde_json::Value::from("2024-01-15T10:30:00Z")),
        Just(serde_json::Value::from("exit")),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            prop::collection::vec((".{0,6}", inner), 0..4).prop_map(|pairs| pairs.into_iter().collect()),
        ]
    })
}

fn any_key() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec![
            "device_id", "qr_data", "timestamp", "location", "api_key", "scan_id", "nonce", "direction", "people",
            "card_uid", "devicenumber", "vgdecoderesult", "override_reason", "byte_order", "card_format",
        ])
        .prop_map(str::to_owned),
        1 => ".{0,8}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_object_is_read_alike_whether_it_is_written_tight_or_wide(
        pairs in prop::collection::vec((any_key(), any_value()), 0..7),
    ) {
        let object: serde_json::Map<String, serde_json::Value> = pairs.into_iter().collect();
        let tight = serde_json::to_vec(&object).unwrap();
        let wide = serde_json::to_vec_pretty(&object).unwrap();
        for body in [&tight, &wide] {
            fuzz_scan(body);
            agree(body);
        }
        let (mut first, mut second) = (Scratch::default(), Scratch::default());
        prop_assert_eq!(parse_request(&tight, &mut first), parse_request(&wide, &mut second));
    }

    #[test]
    fn any_bytes_are_answered_and_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        fuzz_scan(&bytes);
    }
}

fn refused(body: &str) -> BodyError {
    parse_scan(body.as_bytes(), &mut Scratch::default()).expect_err(body)
}

#[test]
fn a_mistake_is_told_with_its_field() {
    for (body, message) in [
        ("", "the body is empty"),
        ("  \r\n", "the body is empty"),
        ("{}", "qr_data: is missing"),
        (r#"{"qr_data":null}"#, "qr_data: is missing"),
        (r#"{"qr_data":""}"#, "qr_data: is empty"),
        (r#"{"qr_data":" \r\n"}"#, "qr_data: is empty"),
        (r#"{"qr_data":5}"#, "qr_data: must be text, this is a number"),
        (r#"{"qr_data":1.5}"#, "qr_data: must be text, this is a number"),
        (r#"{"qr_data":true}"#, "qr_data: must be text, this is true or false"),
        (r#"{"qr_data":["A"]}"#, "qr_data: must be text, this is a list"),
        (r#"{"qr_data":{"a":1}}"#, "qr_data: must be text, this is an object"),
        (r#"{"qr_data":"A","qr_data":"B"}"#, "qr_data: is there twice"),
        (r#"{"qr_data":"A","q\u0072_data":null}"#, "qr_data: is there twice"),
        (r#"{"qr_data":"A","vgdecoderesult":"A"}"#, "vgdecoderesult: comes with qr_data"),
        (r#"{"qr_data":"A","card_uid":"04"}"#, "card_uid: comes with a code"),
        (r#"{"qr_data":"A\u0000B"}"#, "qr_data: holds a control character"),
        (r#"{"qr_data":"A\tB"}"#, "qr_data: holds a control character"),
        ("{\"qr_data\":\"A\tB\"}", "not valid JSON: a control character"),
        (r#"{"qr_data":"A","scan_id":""}"#, "scan_id: is empty"),
        (r#"{"qr_data":"A","location":7}"#, "location: must be text, this is a number"),
        (r#"{"qr_data":"A","timestamp":"yesterday"}"#, "timestamp: must be RFC 3339"),
        (r#"{"qr_data":"A","timestamp":1705314600}"#, "timestamp: must be text"),
        (r#"{"qr_data":"A","direction":"in"}"#, "direction: must be entry or exit"),
        (r#"{"qr_data":"A","people":0}"#, "people: must be a whole number from 1 to 1000"),
        (r#"{"qr_data":"A","people":1001}"#, "people: must be a whole number from 1 to 1000"),
        (r#"{"qr_data":"A","people":2.0}"#, "people: must be a whole number"),
        (r#"{"qr_data":"A","people":"2"}"#, "people: must be a number, this is text"),
        (r#"{"card_uid":"04","byte_order":"middle"}"#, "byte_order: must be big"),
        (r#"{"card_uid":"04","card_format":"hex"}"#, "card_format: must be hex_be"),
        (r#"{"qr_data":"A"} x"#, "not valid JSON"),
        (r#"{"qr_data":"A"}{"#, "not valid JSON"),
        (r#"{"qr_data":"A",}"#, "not valid JSON"),
        (r#"{"qr_data":"A""#, "not valid JSON"),
        (r#"{'qr_data':'A'}"#, "not valid JSON"),
        (r#"{"qr_data":"\x41"}"#, "not valid JSON: an unknown escape at byte 12"),
        (r#"[{"qr_data":"A"}]"#, "must be one JSON object"),
        (r#""A""#, "must be one JSON object"),
        ("\u{feff}{\"qr_data\":\"A\"}", "the body begins with a byte order mark"),
    ] {
        let error = refused(body).to_string();
        assert!(error.starts_with(message), "{body}\n  gives  {error}\n  wanted {message}");
    }
}

#[test]
fn lengths_are_those_of_the_engine() {
    for (field, most) in
        [("qr_data", 255), ("scan_id", 128), ("nonce", 128), ("location", 128), ("device_id", 128)]
    {
        let body = |len: usize| format!(r#"{{"card_uid":"","qr_data":"A","{field}":"{}"}}"#, "x".repeat(len));
        let body = |len| {
            body(len)
                .replace(r#""card_uid":"","#, "")
                .replace(if field == "qr_data" { r#""qr_data":"A","# } else { "\u{0}" }, "")
        };
        assert!(parse_scan(body(most).as_bytes(), &mut Scratch::default()).is_ok(), "{field}");
        assert_eq!(refused(&body(most + 1)).field, Some(field));
    }
}

#[test]
fn bytes_that_are_not_utf8_are_refused() {
    let error = parse_scan(b"{\"qr_data\":\"\xFF\"}", &mut Scratch::default()).unwrap_err();
    assert!(error.to_string().contains("UTF-8"), "{error}");
    assert!(parse_scan(b"{\"qr_data\":\"A\",\"x\":\"\xED\xA0\x80\"}", &mut Scratch::default()).is_err());
}

#[test]
fn every_field_arrives() {
    let body = br#"{"device_id":"D","devicenumber":"7","card_uid":"04A1","timestamp":"2024-01-15T10:30:00Z",
        "location":"G","api_key":"K","nonce":"N","scan_id":"S","direction":"exit","people":4,
        "override_reason":"W","operator_token":"T","byte_order":"little","card_format":"dec_be","unknown":[{}]}"#;
    let mut scratch = Scratch::default();
    let scan = parse_scan(body, &mut scratch).unwrap();
    assert_eq!((scan.wire, scan.presented), (Wire::Json, Presented::Card("04A1")));
    assert_eq!((scan.device, scan.number), (Some("D"), Some("7")));
    assert_eq!((scan.location, scan.api_key, scan.scan_id), (Some("G"), Some("K"), Some("S")));
    assert_eq!((scan.direction, scan.people), (Some(Direction::Exit), Some(4)));
    assert_eq!((scan.override_reason, scan.operator_token), (Some("W"), Some("T")));
    assert_eq!(scan.scanned_at, Some(engine::Time(1_705_314_600_000)));
    assert_eq!(scan.card_format(CardFormat::HexBe), CardFormat::DecBe);
}

#[test]
fn a_scratch_serves_many_requests_in_turn() {
    let mut scratch = Scratch::default();
    for nth in 0..1_000 {
        let body = format!(r#"{{"qr_data":"C\u0041{nth}","x":[{}]}}"#, "1,".repeat(nth % 7) + "0");
        let scan = parse_scan(body.as_bytes(), &mut scratch).unwrap();
        assert_eq!(scan.code, Some(format!("CA{nth}").as_str()));
        assert!(parse_scan(b"{\"qr_data\":\"\\u004", &mut scratch).is_err());
    }
}
