//! libusb as the host uses it, against a printer that umockdev plays: `usbfs` and `sysfs` below libusb are its, and it
//! refuses every transfer that is not the recorded one. Not through a host process: umockdev cannot be asked for the
//! folders that landlock needs.

use driver_frames::{Fault, Way};
use driver_host::line::{Content, Line};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// Set inside of umockdev: which play it is.
const PLAY: &str = "GATEHOUSE_TEST_USB_PLAY";
const NODE: &str = "/dev/bus/usb/001/003";
const BULK: u8 = 3;
/// Of the host's reads.
const READ_BYTES: usize = 1_024;

/// The printer's descriptors: 0519:0003, one interface of this class, bulk OUT 01 and bulk IN 82.
fn descriptors(class: u8) -> Vec<u8> {
    let mut all = vec![18, 1, 0x10, 0x01, 0, 0, 0, 64, 0x19, 0x05, 0x03, 0x00, 0, 1, 1, 2, 3, 1];
    all.extend([9, 2, 32, 0, 1, 1, 0, 0xc0, 50]);
    all.extend([9, 4, 0, 0, 2, class, 1, 2, 0]);
    all.extend([7, 5, 0x01, 2, 64, 0, 0]);
    all.extend([7, 5, 0x82, 2, 64, 0, 0]);
    all
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// A transfer as umockdev records it: what it returned, type, end-point, status, flags, room, length,
/// errors, bytes. `NDELAY`, for that is how libusb asks.
fn transfer(end_point: u8, room: usize, bytes: &[u8]) -> String {
    format!("USBDEVFS_REAPURBNDELAY 0 {BULK} {end_point} 0 0 {room} {} 0 {}\n", bytes.len(), hex(bytes))
}

fn written(bytes: &[u8]) -> String {
    transfer(0x01, bytes.len(), bytes)
}

/// Runs the test `played` once more, inside of umockdev, with this printer.
fn play(name: &str, class: u8, transfers: &[String]) {
    let dir = tempfile::tempdir().unwrap();
    let (device, traffic) = (dir.path().join("printer.umockdev"), dir.path().join("printer.ioctl"));
    let description = format!(
        "P: /devices/pci0000:00/0000:00:14.0/usb1/1-1\nN: bus/usb/001/003\nE: DEVNAME={NODE}\n\
         E: DEVTYPE=usb_device\nE: SUBSYSTEM=usb\nE: BUSNUM=001\nE: DEVNUM=003\nA: busnum=1\nA: devnum=3\n\
         A: bConfigurationValue=1\nA: speed=12\nH: descriptors={}\n\n",
        hex(&descriptors(class))
    );
    std::fs::write(&device, description).unwrap();
    std::fs::write(&traffic, format!("@DEV {NODE}\n{}", transfers.concat())).unwrap();
    let option = |path: &Path| format!("{NODE}={}", path.display());
    let played = Command::new("umockdev-run")
        .args(["-d".as_ref(), device.as_os_str()])
        .args(["-i", &option(&traffic)])
        .arg("--")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "usb::played", "--nocapture"])
        .env(PLAY, name)
        .output()
        .expect("umockdev-run is needed (Debian: apt-get install umockdev)");
    let told =
        String::from_utf8_lossy(&played.stdout).into_owned() + &String::from_utf8_lossy(&played.stderr);
    assert!(played.status.success(), "{told}");
    // It was this test that ran, and it was not left out.
    assert!(told.contains(&format!("played {name}")), "{told}");
}

fn line(way: &str) -> Line {
    Line::new(way.parse::<Way>().unwrap(), Arc::default(), None).unwrap()
}

const EACH: Duration = Duration::from_secs(2);

/// The inner side of the tests below; outside of umockdev there is nothing to do.
#[test]
fn played() {
    let Ok(name) = std::env::var(PLAY) else { return };
    let mut printer = line("usb:0519:0003");
    match name.as_str() {
        "bytes" => {
            assert_eq!(printer.open(), Ok(true));
            assert_eq!(printer.write(b"\x1b@", Content::Asks, EACH), Ok(()));
            assert_eq!(printer.write(b"Gate 7\n", Content::Prints, EACH), Ok(()));
            assert_eq!(printer.printing(), 7);
            // One packet, read in two.
            let mut answer = [0; 2];
            assert_eq!(printer.read(&mut answer[..1], EACH), Ok(1));
            assert_eq!(printer.read(&mut answer[1..], EACH), Ok(1));
            assert_eq!(answer, [0x12, 0x34]);
            assert_eq!(printer.settle(EACH), Ok(()));
            assert_eq!(printer.open(), Ok(false));
        }
        "wrong byte" => {
            printer.open().unwrap();
            assert_eq!(printer.write(b"Gate 8\n", Content::Prints, EACH), Err((Fault::Io, 0)));
            assert!(printer.take_lost().unwrap().text.starts_with("usb:0519:0003: "));
            assert!(!printer.is_open());
        }
        "no printer" => {
            let lost = printer.open().unwrap_err();
            assert_eq!(lost.fault, Fault::Unsupported);
            assert_eq!(lost.text, "usb:0519:0003: it has no interface of a printer with a bulk OUT");
            let lost = line("usb:0519:0004").open().unwrap_err();
            assert_eq!(
                (lost.fault, lost.text.as_str()),
                (Fault::Gone, "usb:0519:0004: no such device is plugged in")
            );
        }
        other => panic!("no such play: {other}"),
    }
    println!("played {name}");
}

#[test]
fn bytes_reach_a_printer_as_they_are_and_its_answers_come_back() {
    for class in [7, 0xff] {
        let transfers = [written(b"\x1b@"), written(b"Gate 7\n"), transfer(0x82, READ_BYTES, &[0x12, 0x34])];
        play("bytes", class, &transfers);
    }
}

#[test]
fn a_transfer_that_is_refused_loses_the_line() {
    play("wrong byte", 7, &[written(b"Gate 7\n")]);
}

#[test]
fn a_device_that_is_no_printer_and_one_that_is_not_there_are_told() {
    play("no printer", 3, &[]);
}
