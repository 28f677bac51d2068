//! A USB printer's bulk end-points, through libusb. Knows class 7 (printers) and vendors' own interfaces with a bulk
//! OUT end-point; knows no device by its number.
//!
//! A context of its own is made at each opening, never libusb's default one: that is shared by a whole process, and a
//! device pulled out between two openings stays in its list.

use super::control::Control;
use super::{ControlIn, Refused, Transport};
use crate::patience::Patience;
use driver_abi::Fault;
use rusb::{Context, Device, DeviceHandle, Direction, TransferType, UsbContext};
use std::collections::VecDeque;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

/// bInterfaceClass of printers.
const CLASS_PRINTER: u8 = 7;
/// bInterfaceClass of what its maker alone defines; ticket printers say so.
const CLASS_VENDOR: u8 = 0xff;
/// One transfer's bytes at most, so that a deadline is noticed while a slow printer takes a picture.
const WRITE_BYTES_MAX: usize = 4_096;
/// A read has room for a whole packet at every speed (USB 3: 1,024): a packet that does not fit is lost with an error.
const READ_BYTES: usize = 1_024;
/// GET_DEVICE_ID of the printer class, whose index is the interface and its alternate setting.
const GET_DEVICE_ID: u8 = 0;
/// The recipient in a request's type, and the one that is an interface.
const RECIPIENT_MASK: u8 = 0x1f;
const RECIPIENT_INTERFACE: u8 = 1;

/// An interface that was claimed; let go, and given back to the kernel's `usblp`, when it is dropped and no request is
/// under way.
pub(super) struct UsbPrinter {
    handle: Arc<DeviceHandle<Context>>,
    control: Control,
    place: Place,
    /// Read and not asked for yet.
    came: VecDeque<u8>,
}

/// Where in a device the printer is.
#[derive(Clone, Copy)]
struct Place {
    interface: u8,
    setting: u8,
    out: u8,
    into: Option<u8>,
}

/// Finds and claims it.
pub(super) fn open(vendor: u16, product: u16, serial: Option<&str>) -> Result<UsbPrinter, Refused> {
    // libusb finds no place for devices where a machine has no USB, or where a container was given none of it.
    let context = Context::new()
        .map_err(|error| (Fault::Gone, format!("{error}: is there a /dev/bus/usb on this machine?")))?;
    let device = find(&context, (vendor, product), serial)?;
    let place = place(&device)
        .ok_or_else(|| (Fault::Unsupported, "it has no interface of a printer with a bulk OUT".to_owned()))?;
    let handle = device.open().map_err(told)?;
    // usblp gives the interface up now and gets it back when it is let go. Where the system cannot do that, claiming
    // says whether it matters.
    if handle.kernel_driver_active(place.interface) == Ok(true) {
        let _ = handle.set_auto_detach_kernel_driver(true);
    }
    handle.claim_interface(place.interface).map_err(told)?;
    if place.setting != 0 {
        handle.set_alternate_setting(place.interface, place.setting).map_err(told)?;
    }
    Ok(UsbPrinter { handle: Arc::new(handle), control: Control::default(), place, came: VecDeque::new() })
}

fn find(context: &Context, wanted: (u16, u16), serial: Option<&str>) -> Result<Device<Context>, Refused> {
    let devices = context.devices().map_err(told)?;
    let mut alike: Vec<Device<Context>> = Vec::new();
    for device in devices.iter() {
        let Ok(descriptor) = device.device_descriptor() else { continue };
        if (descriptor.vendor_id(), descriptor.product_id()) != wanted {
            continue;
        }
        if let Some(serial) = serial {
            let handle = device.open().map_err(told)?;
            if handle.read_serial_number_string_ascii(&descriptor).ok().as_deref() != Some(serial) {
                continue;
            }
        }
        alike.push(device);
    }
    match (alike.len(), alike.pop(), serial) {
        (1, Some(device), _) => Ok(device),
        (0, ..) | (_, None, _) => Err((Fault::Gone, "no such device is plugged in".to_owned())),
        // A document at the wrong counter is worse than none.
        (n, Some(_), None) => {
            Err((Fault::Config, format!("{n} such devices are plugged in: name the serial number of one")))
        }
        (n, Some(_), Some(_)) => Err((Fault::Config, format!("{n} such devices have this serial number"))),
    }
}

/// The printer's interface: of its class, or else of its vendor's.
fn place(device: &Device<Context>) -> Option<Place> {
    let config = device.active_config_descriptor().ok()?;
    let places = |class: u8| {
        config.interfaces().flat_map(|interface| interface.descriptors()).find_map(|descriptor| {
            let end_point = |direction| {
                descriptor
                    .endpoint_descriptors()
                    .find(|e| e.transfer_type() == TransferType::Bulk && e.direction() == direction)
                    .map(|e| e.address())
            };
            let out = end_point(Direction::Out).filter(|_| descriptor.class_code() == class)?;
            Some(Place {
                interface: descriptor.interface_number(),
                setting: descriptor.setting_number(),
                out,
                into: end_point(Direction::In),
            })
        })
    };
    places(CLASS_PRINTER).or_else(|| places(CLASS_VENDOR))
}

impl Transport for UsbPrinter {
    fn write_some(&mut self, bytes: &[u8], step: Duration) -> Result<usize, Fault> {
        let piece = &bytes[..bytes.len().min(WRITE_BYTES_MAX)];
        match self.handle.write_bulk(self.place.out, piece, step) {
            Ok(0) => Err(Fault::Timeout),
            Ok(n) => Ok(n),
            Err(error) => Err(self.fault(self.place.out, error)),
        }
    }

    fn read_some(&mut self, buffer: &mut [u8], step: Duration) -> Result<usize, Fault> {
        let into = self.place.into.ok_or(Fault::Unsupported)?;
        if self.came.is_empty() {
            let mut packet = [0; READ_BYTES];
            match self.handle.read_bulk(into, &mut packet, step) {
                Ok(n) => self.came.extend(&packet[..n]),
                Err(error) => return Err(self.fault(into, error)),
            }
        }
        match self.came.read(buffer) {
            Ok(n) if n > 0 => Ok(n),
            _ => Err(Fault::Timeout),
        }
    }

    /// A driver does not know which interface was claimed: an index of 0 in a request to an interface is filled in.
    fn control_in(
        &mut self,
        request: ControlIn,
        buffer: &mut [u8],
        patience: Patience<'_>,
    ) -> Result<usize, Fault> {
        let ControlIn { request_type, request, value, mut index } = request;
        if index == 0 && request_type & RECIPIENT_MASK == RECIPIENT_INTERFACE {
            let (interface, setting) = (u16::from(self.place.interface), u16::from(self.place.setting));
            index = if request == GET_DEVICE_ID { interface << 8 | setting } else { interface };
        }
        let (handle, mut room) = (Arc::clone(&self.handle), vec![0; buffer.len()]);
        let answer = self.control.ask(patience, move |most| {
            let n = handle
                .read_control(request_type, request, value, index, &mut room, most)
                .map_err(|error| told(error).0)?;
            room.truncate(n);
            Ok(room)
        })?;
        buffer[..answer.len()].copy_from_slice(&answer);
        Ok(answer.len())
    }
}

impl UsbPrinter {
    fn fault(&self, end_point: u8, error: rusb::Error) -> Fault {
        if error == rusb::Error::Pipe {
            // The device refused the transfer; the end-point is of no use before it is cleared.
            let _ = self.handle.clear_halt(end_point);
        }
        told(error).0
    }
}

fn told(error: rusb::Error) -> Refused {
    match error {
        rusb::Error::Timeout | rusb::Error::Interrupted => (Fault::Timeout, error.to_string()),
        rusb::Error::NoDevice | rusb::Error::NotFound => (Fault::Gone, error.to_string()),
        rusb::Error::Busy => (Fault::Busy, "another program or driver has its interface".to_owned()),
        rusb::Error::Access => {
            (Fault::Io, "this user may not open it; a udev rule gives it to the server's group".to_owned())
        }
        rusb::Error::NoMem => (Fault::NoMemory, error.to_string()),
        rusb::Error::NotSupported => (Fault::Unsupported, error.to_string()),
        _ => (Fault::Io, error.to_string()),
    }
}
