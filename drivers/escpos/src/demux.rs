//! The one reader of everything a printer sends: each byte goes to the message it belongs to. Knows the forms of
//! messages, not who asked for one.
//!
//! The fixed bits tell the forms apart (Citizen, command reference for CT-S310, "Identification of data"; Epson,
//! "GS ( H" function 48 and "GS I"):
//!
//! ```text
//! 0**1**10                   answer to DLE EOT
//! 0**1**00                   first of the four bytes of a status sent by itself (ASB); the other three are 0**0****
//! 0**0****                   answer to GS r, where no such status is under way
//! 00010001, 00010011         XON, XOFF: flow control that came through
//! 37 22 d1 d2 d3 d4 00       GS ( H: the document with this tag is finished
//! 5F d1 ... dn 00            answer to GS I, at most 80 bytes of ASCII
//! ```
//!
//! Whatever fits nowhere is counted and dropped.

/// `GS I` answers at most so many bytes (Epson, TM-U230: 0 to 80).
const TOLD_BYTES_MAX: usize = 80;

/// A whole message of the printer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Answer to `DLE EOT`.
    RealTime(u8),
    /// Status sent by itself.
    Asb([u8; 4]),
    /// Answer to `GS r`.
    Queued(u8),
    /// The document with this tag is finished.
    Job([u8; 4]),
    /// Answer to `GS I`.
    Told(Vec<u8>),
}

/// What is under way.
#[derive(Debug, Default)]
enum Part {
    #[default]
    Nothing,
    Asb(Vec<u8>),
    /// With its `37`.
    Job(Vec<u8>),
    /// Without its `5F`.
    Told(Vec<u8>),
}

/// Takes a printer's bytes one by one.
#[derive(Debug, Default)]
pub struct Demux {
    part: Part,
    garbage: u64,
}

// === impl Demux ===

impl Demux {
    /// The line is new: a message that was under way is not continued.
    pub fn reset(&mut self) {
        self.drop_part();
    }

    /// Bytes that fit nowhere.
    pub fn garbage(&self) -> u64 {
        self.garbage
    }

    /// Takes a byte; the message that is whole with it.
    pub fn take(&mut self, byte: u8) -> Option<Heard> {
        if matches!(byte, 0x11 | 0x13) {
            return None;
        }
        match std::mem::take(&mut self.part) {
            Part::Nothing => self.begin(byte),
            Part::Asb(bytes) => self.asb(bytes, byte),
            Part::Job(bytes) => self.job(bytes, byte),
            Part::Told(bytes) => self.told(bytes, byte),
        }
    }

    fn begin(&mut self, byte: u8) -> Option<Heard> {
        match byte {
            0x37 => self.part = Part::Job(vec![byte]),
            0x5f => self.part = Part::Told(Vec::new()),
            _ if is_real_time(byte) => return Some(Heard::RealTime(byte)),
            _ if is_asb_first(byte) => self.part = Part::Asb(vec![byte]),
            _ if is_plain(byte) => return Some(Heard::Queued(byte)),
            _ => self.garbage += 1,
        }
        None
    }

    fn asb(&mut self, mut bytes: Vec<u8>, byte: u8) -> Option<Heard> {
        if is_real_time(byte) {
            // Real-time answers overtake: the block goes on behind it.
            self.part = Part::Asb(bytes);
            return Some(Heard::RealTime(byte));
        }
        if !is_plain(byte) {
            self.garbage += bytes.len() as u64;
            return self.begin(byte);
        }
        bytes.push(byte);
        match <[u8; 4]>::try_from(bytes) {
            Ok(block) => Some(Heard::Asb(block)),
            Err(bytes) => {
                self.part = Part::Asb(bytes);
                None
            }
        }
    }

    fn job(&mut self, mut bytes: Vec<u8>, byte: u8) -> Option<Heard> {
        let fits = match bytes.len() {
            1 => byte == 0x22,
            2..=5 => (0x20..=0x7e).contains(&byte),
            _ => byte == 0,
        };
        if !fits {
            self.garbage += bytes.len() as u64;
            return self.begin(byte);
        }
        bytes.push(byte);
        if let [0x37, 0x22, a, b, c, d, 0] = bytes[..] {
            return Some(Heard::Job([a, b, c, d]));
        }
        self.part = Part::Job(bytes);
        None
    }

    fn told(&mut self, mut bytes: Vec<u8>, byte: u8) -> Option<Heard> {
        if byte == 0 {
            return Some(Heard::Told(bytes));
        }
        if !(0x20..=0x7f).contains(&byte) || bytes.len() == TOLD_BYTES_MAX {
            self.garbage += bytes.len() as u64 + 1;
            return self.begin(byte);
        }
        bytes.push(byte);
        self.part = Part::Told(bytes);
        None
    }

    fn drop_part(&mut self) {
        self.garbage += match std::mem::take(&mut self.part) {
            Part::Nothing => 0,
            Part::Asb(bytes) | Part::Job(bytes) => bytes.len() as u64,
            Part::Told(bytes) => bytes.len() as u64 + 1,
        };
    }
}

fn is_real_time(byte: u8) -> bool {
    byte & 0b1001_0011 == 0b0001_0010
}

fn is_asb_first(byte: u8) -> bool {
    byte & 0b1001_0011 == 0b0001_0000
}

fn is_plain(byte: u8) -> bool {
    byte & 0b1001_0000 == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hear(bytes: &[u8]) -> (Vec<Heard>, u64) {
        let mut demux = Demux::default();
        let heard = bytes.iter().filter_map(|byte| demux.take(*byte)).collect();
        demux.reset();
        (heard, demux.garbage())
    }

    #[test]
    fn each_message_is_told_by_its_bits() {
        assert_eq!(hear(&[0x12]), (vec![Heard::RealTime(0x12)], 0));
        assert_eq!(hear(&[0x14, 0, 0x0c, 0x0f]), (vec![Heard::Asb([0x14, 0, 0x0c, 0x0f])], 0));
        assert_eq!(hear(&[0x0c]), (vec![Heard::Queued(0x0c)], 0));
        assert_eq!(hear(b"\x37\x22A7!z\0"), (vec![Heard::Job(*b"A7!z")], 0));
        assert_eq!(hear(b"\x5fTM-T88V\0"), (vec![Heard::Told(b"TM-T88V".to_vec())], 0));
        assert_eq!(hear(&[0x11, 0x13]), (vec![], 0));
    }

    #[test]
    fn a_real_time_answer_in_the_middle_of_a_status_is_not_part_of_it() {
        let heard = vec![Heard::RealTime(0x16), Heard::Asb([0x10, 0, 0, 0x0f])];
        assert_eq!(hear(&[0x10, 0, 0x16, 0, 0x0f]), (heard, 0));
    }

    #[test]
    fn the_tail_of_a_status_is_no_answer_to_a_queued_question() {
        let heard = vec![Heard::Asb([0x10, 0, 0, 0]), Heard::Queued(0)];
        assert_eq!(hear(&[0x10, 0, 0, 0, 0]), (heard, 0));
    }

    #[test]
    fn flow_control_does_not_break_a_message() {
        assert_eq!(hear(b"\x37\x13\x22AB\x11CD\0"), (vec![Heard::Job(*b"ABCD")], 0));
    }

    #[test]
    fn a_broken_message_is_garbage_and_the_next_is_heard() {
        // A tag cut short by an answer; a status whose second byte has bit 4.
        let heard = vec![Heard::RealTime(0x12), Heard::Job(*b"AAAB")];
        assert_eq!(hear(b"\x37\x22AA\x80\x12\x37\x22AAAB\0"), (heard, 5));
        assert_eq!(hear(&[0x10, 0x90, 0x12]), (vec![Heard::RealTime(0x12)], 2));
    }

    fn message() -> impl Strategy<Value = Heard> {
        let plain = || any::<u8>().prop_map(|byte| byte & 0b0110_1111);
        prop_oneof![
            any::<u8>().prop_map(|byte| Heard::RealTime(byte & 0b0110_1100 | 0b0001_0010)),
            (any::<u8>(), [plain(), plain(), plain()]).prop_map(|(a, [b, c, d])| Heard::Asb([
                a & 0b0110_1100 | 0b0001_0000,
                b,
                c,
                d
            ])),
            plain().prop_map(Heard::Queued),
            [0x20..=0x7e_u8, 0x20..=0x7e, 0x20..=0x7e, 0x20..=0x7e].prop_map(Heard::Job),
            proptest::collection::vec(0x20..=0x7e_u8, 0..=TOLD_BYTES_MAX).prop_map(Heard::Told),
        ]
    }

    fn bytes_of(message: &Heard) -> Vec<u8> {
        match message {
            Heard::RealTime(byte) | Heard::Queued(byte) => vec![*byte],
            Heard::Asb(bytes) => bytes.to_vec(),
            Heard::Job(tag) => [&[0x37, 0x22], &tag[..], &[0]].concat(),
            Heard::Told(text) => [&[0x5f], &text[..], &[0]].concat(),
        }
    }

    proptest! {
        #[test]
        fn whole_messages_are_heard_as_they_were_sent(
            messages in proptest::collection::vec(message(), 0..20),
            flow in proptest::collection::vec(any::<bool>(), 64),
        ) {
            let mut bytes = Vec::new();
            for (at, byte) in messages.iter().flat_map(bytes_of).enumerate() {
                bytes.push(byte);
                if flow[at % flow.len()] {
                    bytes.push(0x13);
                }
            }
            prop_assert_eq!(hear(&bytes), (messages, 0));
        }

        #[test]
        fn garbage_is_counted_and_never_panics_nor_stays(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let (heard, garbage) = hear(&bytes);
            let used: usize = heard.iter().map(|message| bytes_of(message).len()).sum();
            let flow = bytes.iter().filter(|byte| matches!(byte, 0x11 | 0x13)).count();
            prop_assert_eq!(used + flow + garbage as usize, bytes.len());
        }
    }
}
