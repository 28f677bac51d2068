//! What a receipt printer says of itself: `DLE EOT` and its relatives on arrival, `GS r` in turn, ASB by itself. Knows
//! bits, from Epson's command reference; the fixed ones are what a host tells the kinds apart by.

use super::{Act, Kick, ReceiptPrinter};

/// Gathers a real-time command while its bytes come in.
#[derive(Clone, Debug, Default)]
pub(super) struct RealTime(Vec<u8>);

/// Ends `DLE DC4 8`: clears the buffers.
const CLEAR_BUFFERS: [u8; 10] = [0x10, 0x14, 8, 1, 3, 20, 1, 6, 2, 8];

impl RealTime {
    /// Would this byte begin a real-time command or go on with one?
    pub(super) fn may_go_on(&self, byte: u8) -> bool {
        byte == 0x10 || self.with(byte).is_some()
    }

    /// Takes a byte; gives a command that ends with it.
    pub(super) fn take(&mut self, byte: u8) -> Option<Vec<u8>> {
        match self.with(byte) {
            Some((bytes, true)) => {
                self.0.clear();
                return Some(bytes);
            }
            Some((bytes, false)) => self.0 = bytes,
            None if byte == 0x10 => self.0 = vec![byte],
            None => self.0.clear(),
        }
        None
    }

    /// With this byte it is a command, whole or not yet.
    fn with(&self, byte: u8) -> Option<(Vec<u8>, bool)> {
        let mut bytes = self.0.clone();
        bytes.push(byte);
        let whole = match bytes.as_slice() {
            [0x10] | [0x10, 0x04 | 0x05 | 0x14] | [0x10, 0x14, 1 | 2] | [0x10, 0x14, 1 | 2, _] => false,
            [0x10, 0x04, 1..=4] | [0x10, 0x05, 0..=2] | [0x10, 0x14, 1 | 2, _, _] => true,
            bytes if CLEAR_BUFFERS.starts_with(bytes) => bytes.len() == CLEAR_BUFFERS.len(),
            _ => return None,
        };
        Some((bytes, whole))
    }
}

/// One bit.
fn bit(on: bool, bit: u8) -> u8 {
    u8::from(on) << bit
}

/// Two bits: both are set.
fn bits(on: bool, low: u8) -> u8 {
    bit(on, low) | bit(on, low + 1)
}

impl ReceiptPrinter {
    pub(super) fn obey_real_time(&mut self, command: &[u8]) {
        match command {
            [0x10, 0x04, n] => {
                let answer = self.real_time_status(*n);
                self.out.push(answer);
            }
            [0x10, 0x05, n @ (1 | 2)] => self.recover(*n == 2),
            [0x10, 0x14, 1, pin, time] => {
                self.kicks.push(Kick { pin: *pin, on_ms: u32::from(*time) * 100 });
            }
            command if command == CLEAR_BUFFERS => {
                self.clear_buffers();
                // "Clear response": 37h 25h 00h.
                self.out.extend([0x37, 0x25, 0x00]);
            }
            _ => {}
        }
    }

    /// `DLE EOT n`: bits 1 and 4 are set, 0 and 7 are not.
    fn real_time_status(&self, n: u8) -> u8 {
        0x12 | match n {
            1 => bit(self.drawer_open, 2) | bit(!self.is_online(), 3),
            2 => bit(self.cover_open, 2) | bit(self.paper_out, 5) | bit(self.cutter_error, 6),
            3 => bit(self.cutter_error, 3),
            _ => bits(self.is_near_end(), 2) | bits(self.paper_out, 5),
        }
    }

    fn is_near_end(&self) -> bool {
        self.paper_out || self.left.is_some_and(|left| left <= self.model.near_end_dots)
    }

    /// `DLE ENQ`: 1 goes on where the error was, 2 forgets what was to be printed.
    fn recover(&mut self, forget: bool) {
        if !self.cutter_error || self.cutter_blocked {
            return;
        }
        if forget {
            self.clear_buffers();
        }
        self.cutter_error = false;
        self.state_changed();
    }

    pub(super) fn clear_buffers(&mut self) {
        self.buffer.clear();
        self.worked = self.taken;
        self.cuts_of_line.clear();
        self.pending.clear();
        self.acts.clear();
        self.head.drop_line();
        self.head.answers.clear();
    }

    /// `GS r n`, when its turn comes: bits 4 and 7 are not set.
    pub(super) fn tell(&mut self, n: u8) {
        let answer = match n {
            1 | b'1' => bits(self.is_near_end(), 0) | bits(self.paper_out, 2),
            _ => bit(self.drawer_open, 0),
        };
        self.out.push(answer);
    }

    /// `GS a n`: which changes are told. Any but 0 has the state told at once.
    pub(super) fn set_asb(&mut self, n: u8) {
        self.asb = n;
        if n != 0 {
            self.asb_told = self.asb_bytes();
            self.out.extend(self.asb_told);
        }
    }

    /// The state may be another: told if somebody wants to know.
    pub(super) fn state_changed(&mut self) {
        let now = self.asb_bytes();
        let was = self.asb_told;
        // Which bits of the four bytes belong to which bit of `GS a`.
        let groups = [
            (0x01, [0x04, 0, 0, 0]),
            (0x02, [0x28, 0, 0, 0]),
            (0x04, [0, 0x68, 0, 0]),
            (0x08, [0, 0, 0x0f, 0]),
        ];
        let wanted = groups.iter().any(|(group, mask)| {
            self.asb & group != 0 && (0..4).any(|at| (now[at] ^ was[at]) & mask[at] != 0)
        });
        if wanted {
            self.asb_told = now;
            self.out.extend(now);
        }
    }

    /// The first byte has bit 4 set and 0, 1 and 7 not; the others have 4 and 7 not.
    fn asb_bytes(&self) -> [u8; 4] {
        [
            0x10 | bit(self.drawer_open, 2) | bit(!self.is_online(), 3) | bit(self.cover_open, 5),
            bit(self.cutter_error, 3),
            bits(self.is_near_end(), 0) | bits(self.paper_out, 2),
            0x00,
        ]
    }

    /// `GS I n`.
    pub(super) fn identify(&mut self, n: u8) -> Result<(), String> {
        let text = |text: &str| [b"_", text.as_bytes(), b"\0"].concat();
        let answer = match n {
            1 | b'1' => vec![0x20],
            // An autocutter.
            2 | b'2' => vec![0x02],
            3 | b'3' => vec![0x01],
            65 => text("1.00 GATE"),
            66 => text("EMULATED"),
            67 => text("RECEIPT-80"),
            68 => text("0000001"),
            69 => text("PC437"),
            _ => return Err(format!("there is nothing to tell of {n}")),
        };
        self.acts.push_back(Act::Answer(answer));
        Ok(())
    }
}
