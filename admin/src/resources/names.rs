//! Numbers of the catalog as names: what every answer shows in their place. Knows no resource.

use engine::catalog::{Catalog, DeviceId, EventId, GateId, OperatorId, TypeId};

/// Who did it; `None`: the program itself.
pub(super) fn operator(catalog: &Catalog, id: Option<OperatorId>) -> Option<String> {
    Some(catalog.operator(id?)?.name.clone())
}

/// A device's name.
pub(super) fn device(catalog: &Catalog, id: DeviceId) -> Option<String> {
    Some(catalog.device(id)?.name.clone())
}

/// A gate's name.
pub(super) fn gate(catalog: &Catalog, id: GateId) -> Option<String> {
    Some(catalog.gate(id)?.name.clone())
}

/// An event's name.
pub(super) fn event(catalog: &Catalog, id: Option<EventId>) -> Option<String> {
    Some(catalog.event(id?)?.name.clone())
}

/// A ticket type's name within its event.
pub(super) fn ticket_type(catalog: &Catalog, id: Option<TypeId>) -> Option<String> {
    Some(catalog.ticket_type(id?)?.name.clone())
}
