//! What the document says of a device's fields: words, formats and limits. Knows no device.

use crate::resources::catalog::{choice, or_null};
use engine::catalog::{CardFormat, DeviceStatus, Direction};
use engine::limits::{DEVICE_SETTING_BYTES_MAX, DEVICE_SETTINGS_MAX, NAME_BYTES_MAX};
use utoipa::openapi::schema::{
    AnyOfBuilder, ArrayBuilder, KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type,
};

/// Addresses a device may speak from.
pub(super) const SOURCES_MAX: usize = 16;

pub(in crate::resources) fn statuses() -> Schema {
    use DeviceStatus::{Active, Pending, Revoked, Suspended};
    let words = "Where a device stands in its life: `pending` waits for approval, `active` works, `suspended` is off for \
                 now, `revoked` never comes back.";
    choice(&[Pending, Active, Suspended, Revoked], words, None)
}

pub(super) fn card_formats() -> Schema {
    use CardFormat::{DecBe, DecLe, HexBe, HexLe};
    let words = "How card numbers are written: hexadecimal or decimal, first or last byte first.";
    or_null(choice(&[HexBe, HexLe, DecBe, DecLe], words, None))
}

pub(super) fn directions() -> Schema {
    or_null(choice(&[Direction::Entry, Direction::Exit], "The way a device looks.", None))
}

pub(super) fn addresses() -> Schema {
    let address = |format| {
        ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::KnownFormat(format)))
    };
    let either = AnyOfBuilder::new().item(address(KnownFormat::Ipv4)).item(address(KnownFormat::Ipv6));
    ArrayBuilder::new()
        .items(either)
        .max_items(Some(SOURCES_MAX))
        .description(Some("Addresses it may speak from; none: any."))
        .into()
}

pub(super) fn settings() -> Schema {
    let text = ObjectBuilder::new().schema_type(Type::String).max_length(Some(DEVICE_SETTING_BYTES_MAX));
    let name = ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(NAME_BYTES_MAX))
        .pattern(Some(r"^[^\u0000-\u001f\u007f-\u009f]+$"));
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .additional_properties(Some(Schema::from(text)))
        .property_names(Some(Schema::from(name)))
        .max_properties(Some(DEVICE_SETTINGS_MAX))
        .description(Some("Settings the device fetches, name to text."))
        .examples([serde_json::json!({"volume": "3"})])
        .into()
}
