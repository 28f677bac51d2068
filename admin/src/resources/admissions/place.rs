//! Where something is decided, and about which code: what admissions and checks have in common.

use crate::app::App;
use crate::problem::{Kind, Problem};
use crate::resources::scans::Way;
use crate::resources::texts::Code;
use crate::resources::tickets::Which;
use engine::EngineError;
use engine::catalog::{Catalog, Device, DeviceId, DeviceStatus, Direction, GateId};
use engine::decision::{Override, Scan, ScanKind};
use engine::limits::GROUP_PEOPLE_MAX;
use engine::ticket::{CodeKind, Ticket, TicketId};
use std::sync::Arc;

/// Where something is decided, and about which code.
pub(super) struct Place {
    gate: GateId,
    /// The device it is noted for.
    pub device: DeviceId,
    direction: Option<Direction>,
    code_kind: CodeKind,
    code: Vec<u8>,
    /// The ticket, where it is in the store only.
    pub far: Option<(TicketId, Ticket)>,
}

impl Place {
    /// Reads the names of a request.
    ///
    /// # Errors
    /// Something is not there, or no device may serve the gate.
    pub async fn of(
        app: &Arc<App>,
        (id, code): (Option<u32>, Option<&Code>),
        (gate, device): (&str, Option<&str>),
        direction: Option<Way>,
    ) -> Result<Place, Problem> {
        let which = Which::of(id, code)?;
        let catalog = app.engine.catalog();
        let gate =
            catalog.gate_named(gate).ok_or_else(|| Problem::invalid("gate", "there is no such gate"))?;
        let (device, own) = device_at(&catalog, gate, device)?;
        let direction = direction.map(Way::own).or(own.direction);
        let found = which.look(app).await?;
        let (code_kind, code) = match (&which, &found) {
            (Which::Code(kind, code), _) => (*kind, code.clone()),
            (Which::Id(id), None) => return Err(Problem::invalid("id", format!("there is no ticket {id}"))),
            (Which::Id(_), Some(found)) => {
                let (kind, code) = found.ticket.details.codes().next().ok_or_else(|| {
                    Problem::new(Kind::Conflict, "the ticket has no code, so nothing can be decided about it")
                })?;
                (kind, code.to_vec())
            }
        };
        let far = found.filter(|found| found.as_of.is_some()).map(|found| (found.id, found.ticket));
        Ok(Place { gate, device, direction, code_kind, code, far })
    }

    /// The scan to be decided.
    pub fn scan<'s>(
        &'s self,
        scan_id: Option<&'s str>,
        people: Option<u16>,
        by: Option<Override<'s>>,
    ) -> Scan<'s> {
        Scan {
            device: self.device,
            gate: self.gate,
            code_kind: self.code_kind,
            code: &self.code,
            scan_id,
            scanned_at: None,
            direction: self.direction,
            people,
            kind: ScanKind::Validate,
            overriding: by,
            shown: None,
        }
    }
}

/// The named device, or the first active one of a gate.
fn device_at<'c>(
    catalog: &'c Catalog,
    gate: GateId,
    name: Option<&str>,
) -> Result<(DeviceId, &'c Device), Problem> {
    let Some(name) = name else {
        let mut devices = catalog.devices();
        return devices
            .find(|(_, own)| own.gate == Some(gate) && own.status == DeviceStatus::Active)
            .ok_or_else(|| {
                Problem::new(
                    Kind::Conflict,
                    "no active device stands at this gate; name one that may serve it",
                )
            });
    };
    let unknown = || Problem::invalid("device", "there is no such device");
    let id = catalog.device_named(name).ok_or_else(unknown)?;
    let own = catalog.device(id).ok_or_else(unknown)?;
    if own.gate.is_some_and(|own| own != gate) {
        return Err(Problem::invalid("device", "it stands at another gate"));
    }
    if own.status != DeviceStatus::Active {
        return Err(Problem::new(Kind::Conflict, "the device is not active"));
    }
    Ok((id, own))
}

/// As many people as a ticket can have.
///
/// # Errors
/// None, or more.
pub(super) fn check_people(people: Option<u16>) -> Result<(), Problem> {
    match people {
        Some(0) => Err(Problem::invalid("people", "1 or more are meant")),
        Some(people) if people > GROUP_PEOPLE_MAX => {
            Err(Problem::invalid("people", format!("{GROUP_PEOPLE_MAX} is the most")))
        }
        _ => Ok(()),
    }
}

/// A refusal of the engine, in words.
pub(super) fn refused(error: EngineError) -> Problem {
    match error {
        EngineError::Warming => Problem::new(
            Kind::Conflict,
            "the ticket's event is not near, so its tickets are not in memory and none of them can be admitted",
        ),
        error => error.into(),
    }
}
