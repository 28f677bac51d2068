//! A driver's file, loaded, and safe calls into it. The only place that calls `dlopen`, and all unsafe code of the
//! host. Knows no process and no frame.
//!
//! A loaded file stays loaded: a thread-local of a Rust plugin pins it anyway, and a pointer into it must never dangle.
#![allow(unsafe_code, reason = "a C ABI: pointers come and go; every block names who keeps the promise")]

use crate::image::{Image, ImageError};
use crate::line::{Content, Line};
use crate::ways::ControlIn;
use driver_abi::{Capabilities, Done, Fault, Kind, Op, Status, Style, raw};
use driver_frames::PluginInfo;
use parking_lot::Mutex;
use std::ffi::c_void;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A string of a driver is at most so long, in bytes; its JSON texts 64 times that.
pub const NAME_BYTES_MAX: usize = 256;
/// What a driver answers in JSON is at most so long, in bytes.
pub const JSON_BYTES_MAX: usize = 64 * 1024;

/// A driver that was loaded and checked.
#[derive(Clone)]
pub struct Plugin {
    driver: raw::Driver,
    /// What is told about it.
    pub info: PluginInfo,
}

// SAFETY: a table of functions and texts that live as long as the process; the ABI says which thread calls them.
unsafe impl Send for Plugin {}

/// Why a file is no driver that can be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// It is not fit to be loaded.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The system's loader refused it.
    #[error("{path}: {reason}")]
    Library {
        /// Which.
        path: String,
        /// Why.
        reason: String,
    },
    /// It is a library of another kind.
    #[error("{path}: it does not export {entry}: it is no driver", entry = raw::ENTRY)]
    NoEntry {
        /// Which.
        path: String,
    },
    /// It was built for another host.
    #[error("{path}: the driver refused this host, whose ABI is {major}.{minor}", major = raw::ABI_MAJOR, minor = raw::ABI_MINOR)]
    Refused {
        /// Which.
        path: String,
    },
    /// What it says about itself cannot be.
    #[error("{path}: {field}: {reason}")]
    Table {
        /// Which.
        path: String,
        /// The field of `ghd_driver`.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

/// Takes a line of the log: level and text.
pub type LogLine = Box<dyn Fn(i32, &str)>;

/// What a driver is lent by its host besides the line.
pub struct Services {
    /// Lines of the log: level and text.
    pub log: LogLine,
    /// The device told by itself how it is.
    pub changed: Box<dyn Fn(Status)>,
    /// Is it to give up?
    pub cancelled: Arc<AtomicBool>,
}

/// What a document came to, as the driver tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunResult {
    /// How far.
    pub done: Done,
    /// Why not farther.
    pub fault: Option<Fault>,
    /// Ops whose bytes all left.
    pub ops_done: u32,
    /// The device as last seen.
    pub status: Status,
    /// The device's own number of a fault.
    pub native_code: i32,
    /// For people.
    pub text: String,
}

/// A driver's device.
pub struct Device {
    driver: raw::Driver,
    dev: *mut raw::Dev,
    // Lent to the driver until `destroy`: boxed, so that their places stay.
    _table: Box<raw::Host>,
    _context: Box<Context>,
}

/// What the host's functions are given back.
struct Context {
    services: Services,
    began: Instant,
}

/// What the I/O functions are given back.
struct IoContext<'a> {
    line: &'a mut Line,
}

// === impl Plugin ===

impl Plugin {
    /// Loads a driver's file and checks what it says about itself. Its own start-up code runs here.
    ///
    /// # Errors
    /// What is wrong with it, by field.
    pub fn load(path: &Path, sha256: Option<&str>) -> Result<Plugin, LoadError> {
        Plugin::from_image(Image::take(path, sha256)?)
    }

    /// The same of a file that was taken before: where files cannot be opened any more.
    ///
    /// # Errors
    /// As above.
    pub fn from_image(image: Image) -> Result<Plugin, LoadError> {
        let name = image.path.clone();
        let table = enter(&image, raw::ABI_MAJOR, raw::ABI_MINOR)?;
        if table.is_null() {
            return Err(LoadError::Refused { path: name });
        }
        let wrong = |(field, reason)| LoadError::Table { path: name.clone(), field, reason };
        // SAFETY: not null; the first two fields are there in every version, and what is beyond its size is not read.
        let driver = unsafe { copy_table(table) }.map_err(wrong)?;
        // SAFETY: the driver's texts live as long as it is loaded, and it stays loaded.
        let info = unsafe { read_info(&driver, image.sha256.clone()) }.map_err(wrong)?;
        Ok(Plugin { driver, info })
    }

    /// The major version a file answers a host of this version with; `None`: it refuses it. For who checks drivers.
    ///
    /// # Errors
    /// A file that cannot be loaded, or with another magic.
    pub fn offer(path: &Path, major: u16, minor: u16) -> Result<Option<u16>, LoadError> {
        let table = enter(&Image::take(path, None)?, major, minor)?;
        if table.is_null() {
            return Ok(None);
        }
        // SAFETY: not null; these fields stand at the same place in every version.
        let (magic, its) = unsafe { ((*table).magic, (*table).abi_major) };
        if magic == raw::MAGIC {
            return Ok(Some(its));
        }
        let path = path.display().to_string();
        Err(LoadError::Table { path, field: "magic", reason: format!("found {magic:#010x}") })
    }
}

/// Loads the file for good and asks its entry for a table.
fn enter(image: &Image, major: u16, minor: u16) -> Result<*const raw::Driver, LoadError> {
    let path = || image.path.clone();
    let refused = |error: libloading::Error| {
        // The loader names our copy, which nobody knows.
        let place = format!("{}: ", image.loadable().display());
        let source = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        LoadError::Library { path: path(), reason: source.replace(&place, "") }
    };
    // SAFETY: loading runs the file's constructors: it is trusted as far as its digest is, and this process has
    // nothing to lose but one peripheral.
    let library = unsafe { libloading::Library::new(image.loadable()) }.map_err(refused)?;
    // SAFETY: the symbol's type is the header's.
    let entry = unsafe { library.get::<raw::EntryFn>(raw::ENTRY.as_bytes()) }
        .map_err(|_| LoadError::NoEntry { path: path() })?;
    // SAFETY: the header: cheap, may be called by any thread.
    let table = unsafe { entry(major, minor) };
    std::mem::forget(library);
    Ok(table)
}

type Wrong = (&'static str, String);

/// # Safety
/// `table` points to a struct whose first two fields are there.
unsafe fn copy_table(table: *const raw::Driver) -> Result<raw::Driver, Wrong> {
    if !table.is_aligned() {
        return Err(("struct_size", "the table is at an address that cannot be".to_owned()));
    }
    // SAFETY: the caller's promise.
    let (size, magic) = unsafe { ((*table).struct_size as usize, (*table).magic) };
    if magic != raw::MAGIC {
        let (wanted, found) = (raw::MAGIC, magic);
        return Err(("magic", format!("expected {wanted:#010x}, found {found:#010x}")));
    }
    if size < size_of::<raw::Driver>() {
        let wanted = size_of::<raw::Driver>();
        return Err(("struct_size", format!("ABI 1.0 has {wanted} bytes, found {size}")));
    }
    // SAFETY: as large as it says, which is at least what is read.
    let driver = unsafe { *table };
    if driver.abi_major != raw::ABI_MAJOR {
        let (ours, its) = (raw::ABI_MAJOR, driver.abi_major);
        return Err(("abi_major", format!("this host has {ours}, the driver {its}")));
    }
    let missing = [
        ("create", driver.create.is_none()),
        ("destroy", driver.destroy.is_none()),
        ("capabilities", driver.capabilities.is_none()),
        ("probe", driver.probe.is_none()),
        ("status", driver.status.is_none()),
        ("run", driver.run.is_none()),
        ("tick", driver.tick.is_none()),
        ("reset", driver.reset.is_none()),
    ];
    match missing.into_iter().find(|(_, missing)| *missing) {
        Some((field, _)) => Err((field, "this function is missing (NULL)".to_owned())),
        None => Ok(driver),
    }
}

/// # Safety
/// The driver's texts are what they say.
unsafe fn read_info(driver: &raw::Driver, sha256: String) -> Result<PluginInfo, Wrong> {
    let kind = Kind::from_number(driver.kind)
        .ok_or(("kind", format!("{} is neither printer nor display", driver.kind)))?;
    let text = |field, text: raw::Str, most| {
        if text.len > most {
            return Err((field, format!("{} bytes are over the limit of {most}", text.len)));
        }
        if text.ptr.is_null() && text.len > 0 {
            return Err((field, format!("{} bytes at NULL", text.len)));
        }
        // SAFETY: the caller's promise, and the length was looked at.
        let bytes = unsafe { lent(text.ptr, text.len) };
        String::from_utf8(bytes.to_vec()).map_err(|error| (field, error.to_string()))
    };
    let json = |field, value: raw::Str| {
        let text = text(field, value, NAME_BYTES_MAX * 64)?;
        match serde_json::from_str::<serde_json::Value>(&text) {
            Ok(_) => Ok(text),
            Err(error) => Err((field, format!("no JSON: {error}"))),
        }
    };
    let id = text("id", driver.id, NAME_BYTES_MAX)?;
    if id.is_empty() || !id.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-')) {
        return Err(("id", format!("{id:?}: a-z, 0-9 and '-' are meant")));
    }
    Ok(PluginInfo {
        id,
        name: text("name", driver.name, NAME_BYTES_MAX)?,
        vendor: text("vendor", driver.vendor, NAME_BYTES_MAX)?,
        version: text("version", driver.version, NAME_BYTES_MAX)?,
        licence: text("licence", driver.licence, NAME_BYTES_MAX)?,
        kind,
        abi: (driver.abi_major, driver.abi_minor),
        match_json: json("match_json", driver.match_json)?,
        config_schema: json("config_schema", driver.config_schema)?,
        sha256,
    })
}

/// # Safety
/// `len` bytes are there for as long as the result is used.
unsafe fn lent<'a>(ptr: *const u8, len: usize) -> &'a [u8] {
    if ptr.is_null() || len == 0 {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(ptr, len) }
}

fn lend(text: &str) -> raw::Str {
    raw::Str { ptr: text.as_ptr(), len: text.len() }
}

// === impl Device ===

impl Device {
    /// A device of this driver, with settings in JSON.
    ///
    /// # Errors
    /// The driver's fault; `Config` for settings it does not take, told in the log.
    pub fn create(plugin: &Plugin, services: Services, config: &str) -> Result<Device, Fault> {
        let context = Box::new(Context { services, began: Instant::now() });
        let table = Box::new(raw::Host {
            struct_size: size_of::<raw::Host>() as u32,
            abi_major: raw::ABI_MAJOR,
            abi_minor: raw::ABI_MINOR,
            ctx: std::ptr::from_ref::<Context>(&context).cast_mut().cast(),
            log: Some(log),
            now_ms: Some(now_ms),
            cancelled: Some(cancelled),
            status_changed: Some(status_changed),
            encode: Some(encode),
            rasterise: Some(rasterise),
        });
        let mut dev = std::ptr::null_mut();
        let create = plugin.driver.create.ok_or(Fault::Internal)?;
        // SAFETY: the table and its context live until after `destroy`; the settings for the call.
        Fault::check(unsafe { create(&*table, lend(config), &mut dev) })?;
        if dev.is_null() {
            return Err(Fault::Internal);
        }
        Ok(Device { driver: plugin.driver, dev, _table: table, _context: context })
    }

    /// What it is able to do.
    ///
    /// # Errors
    /// The driver's fault; `Protocol` for what is no such JSON.
    pub fn capabilities(&mut self) -> Result<Capabilities, Fault> {
        let call = self.driver.capabilities.ok_or(Fault::Internal)?;
        // SAFETY: the buffer has the room it says.
        let json = answer(|json, cap, n| unsafe { call(self.dev, json, cap, n) })?;
        serde_json::from_slice(&json).map_err(|_| Fault::Protocol)
    }

    /// The same with no more room than this, and how much the driver says it needs: for who checks drivers.
    ///
    /// # Errors
    /// The driver's fault.
    pub fn capabilities_into(&mut self, room: &mut [u8]) -> Result<usize, Fault> {
        let call = self.driver.capabilities.ok_or(Fault::Internal)?;
        let mut n = 0;
        // SAFETY: the room is as large as it says.
        Fault::check(unsafe { call(self.dev, room.as_mut_ptr(), room.len(), &mut n) })?;
        Ok(n)
    }

    /// What the device says it is, JSON.
    ///
    /// # Errors
    /// The driver's fault.
    pub fn probe(&mut self, line: &mut Line, timeout: Duration) -> Result<String, Fault> {
        let call = self.driver.probe.ok_or(Fault::Internal)?;
        let mut context = IoContext { line };
        let io = io_table(&mut context);
        // SAFETY: as above; the line is lent for the call.
        let json = answer(|json, cap, n| unsafe { call(self.dev, &io, ms(timeout), json, cap, n) })?;
        String::from_utf8(json).map_err(|_| Fault::Protocol)
    }

    /// How the device is.
    ///
    /// # Errors
    /// The driver's fault.
    pub fn status(&mut self, line: &mut Line, timeout: Duration) -> Result<Status, Fault> {
        let call = self.driver.status.ok_or(Fault::Internal)?;
        let mut context = IoContext { line };
        let mut bits = Status::UNKNOWN.0;
        // SAFETY: as above.
        Fault::check(unsafe { call(self.dev, &io_table(&mut context), ms(timeout), &mut bits) })?;
        Ok(Status(bits))
    }

    /// Prints or shows a document.
    pub fn run(&mut self, line: &mut Line, ops: &[Op<'_>], timeout: Duration) -> RunResult {
        let raw_ops: Vec<raw::Op> = ops.iter().map(Op::to_raw).collect();
        // SAFETY: the ops point into `ops`, lent for the call.
        let (code, result) = unsafe { self.call_run(line, &raw_ops, timeout) };
        let text = &result.text[..(result.text_len as usize).min(raw::RESULT_TEXT_MAX)];
        RunResult {
            done: Done::from_number(result.done),
            fault: Fault::check(code).err(),
            ops_done: result.ops_done.min(u32::try_from(ops.len()).unwrap_or(u32::MAX)),
            status: Status(result.device_bits),
            native_code: result.native_code,
            text: String::from_utf8_lossy(text).into_owned(),
        }
    }

    /// Hands over ops that may be none, each with its data, and gives the answer as it is: for who checks drivers.
    pub fn run_raw(
        &mut self,
        line: &mut Line,
        ops: &[(raw::Op, &[u8])],
        timeout: Duration,
    ) -> (i32, raw::RunResult) {
        let bytes = |data: &[u8]| raw::Bytes { ptr: data.as_ptr(), len: data.len() };
        let raw_ops: Vec<raw::Op> =
            ops.iter().map(|(op, data)| raw::Op { data: bytes(data), ..*op }).collect();
        // SAFETY: every op's data is a slice of the caller's, lent for the call.
        unsafe { self.call_run(line, &raw_ops, timeout) }
    }

    /// # Safety
    /// The ops' data are there.
    unsafe fn call_run(
        &mut self,
        line: &mut Line,
        ops: &[raw::Op],
        timeout: Duration,
    ) -> (i32, raw::RunResult) {
        let mut context = IoContext { line };
        let mut result = raw::RunResult {
            struct_size: size_of::<raw::RunResult>() as u32,
            done: Done::Unknown.number(),
            ops_done: 0,
            device_bits: Status::UNKNOWN.0,
            native_code: 0,
            text_len: 0,
            text: [0; raw::RESULT_TEXT_MAX],
        };
        let code = match self.driver.run {
            // SAFETY: as above, and the caller's promise.
            Some(run) => unsafe {
                run(self.dev, &io_table(&mut context), ops.as_ptr(), ops.len(), ms(timeout), &mut result)
            },
            None => Fault::Internal.number(),
        };
        (code, result)
    }

    /// The driver's own time. `None`: not until the next document.
    ///
    /// # Errors
    /// The driver's fault.
    pub fn tick(&mut self, line: &mut Line) -> Result<Option<Duration>, Fault> {
        let call = self.driver.tick.ok_or(Fault::Internal)?;
        let mut context = IoContext { line };
        let mut next_ms = 0;
        // SAFETY: as above.
        Fault::check(unsafe { call(self.dev, &io_table(&mut context), &mut next_ms) })?;
        Ok((next_ms > 0).then(|| Duration::from_millis(next_ms.into())))
    }

    /// The line is new: the device is brought into a known state.
    ///
    /// # Errors
    /// The driver's fault.
    pub fn reset(&mut self, line: &mut Line, timeout: Duration) -> Result<(), Fault> {
        let call = self.driver.reset.ok_or(Fault::Internal)?;
        let mut context = IoContext { line };
        // SAFETY: as above.
        Fault::check(unsafe { call(self.dev, &io_table(&mut context), ms(timeout)) })
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        if let Some(destroy) = self.driver.destroy {
            // SAFETY: made by `create`, destroyed once, never used afterwards.
            unsafe { destroy(self.dev) }
        }
    }
}

/// Room first for what fits mostly, then for what it said it needs.
fn answer(mut call: impl FnMut(*mut u8, usize, *mut usize) -> i32) -> Result<Vec<u8>, Fault> {
    let mut room = vec![0; 4_096];
    for _ in 0..2 {
        let mut n = 0;
        Fault::check(call(room.as_mut_ptr(), room.len(), &mut n))?;
        if n <= room.len() {
            room.truncate(n);
            return Ok(room);
        }
        if n > JSON_BYTES_MAX {
            return Err(Fault::Protocol);
        }
        room = vec![0; n];
    }
    Err(Fault::Protocol)
}

fn io_table(context: &mut IoContext<'_>) -> raw::Io {
    raw::Io {
        struct_size: size_of::<raw::Io>() as u32,
        ctx: std::ptr::from_mut(context).cast(),
        write: Some(write),
        read: Some(read),
        control_in: Some(control_in),
    }
}

fn ms(timeout: Duration) -> u32 {
    u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX)
}

// === What the driver calls ===

unsafe extern "C" fn write(
    ctx: *mut c_void,
    p: *const u8,
    n: usize,
    flags: u32,
    timeout_ms: u32,
    written: *mut usize,
) -> i32 {
    // SAFETY: `ctx` is the context of the call under way; the driver lends `n` bytes.
    let (context, bytes) = unsafe { (&mut *ctx.cast::<IoContext<'_>>(), lent(p, n)) };
    let content = if flags & raw::W_ASK == 0 { Content::Prints } else { Content::Asks };
    let outcome = context.line.write(bytes, content, Duration::from_millis(timeout_ms.into()));
    let (code, left) = match outcome {
        Ok(()) => (0, n),
        Err((fault, left)) => (fault.number(), left),
    };
    if !written.is_null() {
        // SAFETY: the driver's own variable.
        unsafe { *written = left };
    }
    code
}

unsafe extern "C" fn read(ctx: *mut c_void, p: *mut u8, cap: usize, timeout_ms: u32, got: *mut usize) -> i32 {
    if p.is_null() || cap == 0 || got.is_null() {
        return Fault::Invalid.number();
    }
    // SAFETY: as above; the driver lends room for `cap` bytes, which were looked at.
    let (context, buffer) =
        unsafe { (&mut *ctx.cast::<IoContext<'_>>(), std::slice::from_raw_parts_mut(p, cap)) };
    match context.line.read(buffer, Duration::from_millis(timeout_ms.into())) {
        Ok(n) => {
            // SAFETY: the driver's own variable, not null.
            unsafe { *got = n };
            0
        }
        Err(fault) => fault.number(),
    }
}

unsafe extern "C" fn control_in(
    ctx: *mut c_void,
    request_type: u8,
    request: u8,
    value: u16,
    index: u16,
    p: *mut u8,
    cap: usize,
    timeout_ms: u32,
    got: *mut usize,
) -> i32 {
    if p.is_null() || got.is_null() {
        return Fault::Invalid.number();
    }
    // SAFETY: as above.
    let (context, buffer) =
        unsafe { (&mut *ctx.cast::<IoContext<'_>>(), std::slice::from_raw_parts_mut(p, cap)) };
    let request = ControlIn { request_type, request, value, index };
    match context.line.control_in(request, buffer, Duration::from_millis(timeout_ms.into())) {
        Ok(n) => {
            // SAFETY: the driver's own variable, not null.
            unsafe { *got = n };
            0
        }
        Err(fault) => fault.number(),
    }
}

/// # Safety
/// `ctx` is a device's context, which lives until after its `destroy`.
unsafe fn context<'a>(ctx: *mut c_void) -> &'a Context {
    // SAFETY: the caller's promise.
    unsafe { &*ctx.cast::<Context>() }
}

unsafe extern "C" fn log(ctx: *mut c_void, level: i32, text: raw::Str) {
    // SAFETY: our own context; the driver lends the text.
    let (context, bytes) = unsafe { (context(ctx), lent(text.ptr, text.len.min(4_096))) };
    (context.services.log)(level, &String::from_utf8_lossy(bytes));
}

unsafe extern "C" fn now_ms(ctx: *mut c_void) -> u64 {
    // SAFETY: our own context.
    unsafe { context(ctx) }.began.elapsed().as_millis() as u64
}

unsafe extern "C" fn cancelled(ctx: *mut c_void) -> i32 {
    // SAFETY: our own context.
    unsafe { context(ctx) }.services.cancelled.load(Ordering::Relaxed).into()
}

unsafe extern "C" fn status_changed(ctx: *mut c_void, bits: u32) {
    // SAFETY: our own context.
    (unsafe { context(ctx) }.services.changed)(Status(bits));
}

unsafe extern "C" fn encode(
    _ctx: *mut c_void,
    code_page: u32,
    text: raw::Str,
    out: *mut u8,
    cap: usize,
    n: *mut usize,
    lossy: *mut u32,
) -> i32 {
    // SAFETY: the driver lends the text.
    let Ok(text) = std::str::from_utf8(unsafe { lent(text.ptr, text.len) }) else {
        return Fault::Invalid.number();
    };
    let Some((bytes, lost)) = crate::code_page::encode(code_page, text) else {
        return Fault::Unsupported.number();
    };
    if n.is_null() || lossy.is_null() || out.is_null() || bytes.len() > cap {
        return Fault::Invalid.number();
    }
    // SAFETY: the driver's own variables and a buffer of `cap` bytes, which were looked at.
    unsafe {
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), out, bytes.len());
        *n = bytes.len();
        *lossy = u32::try_from(lost).unwrap_or(u32::MAX);
    }
    0
}

unsafe extern "C" fn rasterise(
    _ctx: *mut c_void,
    op: *const raw::Op,
    dots_max: u32,
    out: *mut u8,
    cap: usize,
    row_bytes: *mut u32,
    rows: *mut u32,
) -> i32 {
    if op.is_null() || row_bytes.is_null() || rows.is_null() {
        return Fault::Invalid.number();
    }
    // SAFETY: the driver lends the op with its data.
    let (raw_op, data) = unsafe { (&*op, lent((*op).data.ptr, (*op).data.len)) };
    // For a text the op's numbers are its style: the header.
    let style = Style {
        bold: raw_op.flags & raw::STYLE_BOLD != 0,
        underline: raw_op.flags & raw::STYLE_UNDERLINE != 0,
        invert: raw_op.flags & raw::STYLE_INVERT != 0,
        width: raw_op.a.clamp(1, 8) as u8,
        height: raw_op.b.clamp(1, 8) as u8,
        font: 0,
    };
    let Ok(op) = Op::from_raw(raw_op, data) else { return Fault::Invalid.number() };
    let dots_max = u16::try_from(dots_max).unwrap_or(u16::MAX);
    // The dots are made once and given at the second call.
    static LAST: Mutex<Option<(Op<'static>, Style, u16, driver_raster::Raster)>> = Mutex::new(None);
    let mut last = LAST.lock();
    let known = last.as_ref().is_some_and(|(o, s, d, _)| *o == op && *s == style && *d == dots_max);
    if !known {
        match driver_raster::rasterise(&op, style, dots_max) {
            Ok(raster) => *last = Some((op.into_owned(), style, dots_max, raster)),
            Err(_) => return Fault::Invalid.number(),
        }
    }
    let Some((_, _, _, raster)) = last.as_ref() else { return Fault::Internal.number() };
    // SAFETY: the driver's own variables; a buffer of `cap` bytes, which is looked at.
    unsafe {
        *row_bytes = raster.row_bytes as u32;
        *rows = raster.rows() as u32;
        if cap == 0 {
            return 0;
        }
        if out.is_null() || cap < raster.dots.len() {
            return Fault::Invalid.number();
        }
        std::ptr::copy_nonoverlapping(raster.dots.as_ptr(), out, raster.dots.len());
    }
    0
}
