//! Which reply could open a gate. Knows what readers of the known families do with a reply, in the strictest reading
//! over all of them; knows no reason and no message.
//!
//! The trap: the Vguang family reads `code` as hexadecimal and takes 0 *and 1 to 8* for success, so the refusal
//! `code=0001` that its older manuals suggest fires the relay. Others take 0000 for success and anything else for an
//! error. `00ff` and `03ff` replace the firmware, `01ff` gives the settings away, and a broken `02ff` stops the script.

use crate::body::{Scratch, parse_object};

/// Highest code that a reader takes for success.
const SUCCESS_MAX: u32 = 8;
/// Failure with a text of ours.
const FAILURE_WITH_TEXT: u32 = 0x02FF;
/// Commands to the reader itself.
const COMMANDS: [u32; 3] = [0x00FF, 0x01FF, 0x03FF];

/// May this be sent as a refusal, error or heartbeat reply?
///
/// # Errors
/// Why not, and what to write instead.
pub(super) fn check_shut(reply: &str) -> Result<(), String> {
    check_common(reply)?;
    let squeezed: String = reply.chars().filter(|character| !character.is_whitespace()).collect();
    if squeezed.contains("\"unlock_door\":true") {
        return Err("says unlock_door true, which opens the gate".to_owned());
    }
    let Some(code) = code_of(reply)? else { return Ok(()) };
    if code <= SUCCESS_MAX {
        return Err(format!(
            "code {code:04x} could open the gate: readers of this family take 0000 to 0008 for success and fire the \
             relay; use 02ff with a text, or 0009"
        ));
    }
    if code == FAILURE_WITH_TEXT && !four_parts(reply) {
        return Err(
            "code=02ff needs all of &&msg=\"…\"&&play=\"…\"&&msgTimeout=\"…\", else the reader's script stops".into()
        );
    }
    Ok(())
}

/// Will this open the gate, as an admission must?
///
/// # Errors
/// Why not, and what to write instead.
pub(super) fn check_opens(reply: &str) -> Result<(), String> {
    check_common(reply)?;
    let Some(code) = code_of(reply)? else { return Ok(()) };
    if code != 0 {
        return Err(format!(
            "code {code:04x} does not open the gate on every reader; an admission is code=0000"
        ));
    }
    let mut parts = reply.split("&&").skip(1);
    if parts.next() == Some("desc=json") {
        let json = parts.next().unwrap_or("");
        let mut scratch = Scratch::default();
        let object = parse_object(json.as_bytes(), &mut scratch)
            .map_err(|error| format!("what follows desc=json is {error}"))?;
        if json.trim().is_empty() || parts.next().is_some() {
            return Err("exactly one JSON object follows desc=json".to_owned());
        }
        if object.text("resultCode").map_err(|error| error.to_string())?.is_some_and(|code| code != "0000") {
            return Err("resultCode must be \"0000\", else the relay stays off".to_owned());
        }
    }
    Ok(())
}

/// What no reply may hold.
fn check_common(reply: &str) -> Result<(), String> {
    if reply.contains("url=") {
        return Err("holds url=, by which these readers fetch new firmware".to_owned());
    }
    if reply.rfind("code=").is_some_and(|at| at > 0) {
        return Err("code= may only stand at the very beginning".to_owned());
    }
    Ok(())
}

/// The code a reply begins with, if it is of that family.
fn code_of(reply: &str) -> Result<Option<u32>, String> {
    let Some(rest) = reply.strip_prefix("code=") else { return Ok(None) };
    let digits = rest.split("&&").next().unwrap_or("");
    let hexadecimal = (1..=8).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    match u32::from_str_radix(digits, 16) {
        Ok(code) if hexadecimal && COMMANDS.contains(&code) => {
            Err(format!("code {code:04x} is a command to the reader itself"))
        }
        Ok(code) if hexadecimal => Ok(Some(code)),
        _ => Err(format!("'code={digits}' is no code: write 1 to 8 hexadecimal digits")),
    }
}

fn four_parts(reply: &str) -> bool {
    let parts: Vec<&str> = reply.split("&&").collect();
    let quoted = |part: &str, name: &str| {
        part.strip_prefix(name)
            .and_then(|rest| rest.strip_prefix("=\""))
            .and_then(|rest| rest.strip_suffix('"'))
            .is_some_and(|text| !text.contains('"'))
    };
    matches!(parts[..], [_, msg, play, timeout]
        if quoted(msg, "msg") && quoted(play, "play") && quoted(timeout, "msgTimeout"))
}
