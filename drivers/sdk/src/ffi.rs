//! The C ABI around a [`Driver`]: pointers become slices and back, panics stop here. All unsafe code of the SDK.
#![allow(unsafe_code, reason = "the ABI is C: pointers come and go; every block names who keeps the promise")]

pub use driver_abi::raw;

use crate::{Broken, ControlIn, Driver, Host, Level, Link, Raster, Report, Services};
use driver_abi::{Fault, Op, Status, Style};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

/// What a `ghd_dev` points to.
struct Device<D> {
    driver: D,
    /// It panicked once: what it believes may be half of something.
    panicked: bool,
}

/// The driver's table, or null for a host of another major version.
pub fn entry<D: Driver>(major: u16, _minor: u16) -> *const raw::Driver {
    if major != raw::ABI_MAJOR {
        return std::ptr::null();
    }
    &Table::<D>::DRIVER
}

struct Table<D>(std::marker::PhantomData<D>);

impl<D: Driver> Table<D> {
    const DRIVER: raw::Driver = raw::Driver {
        struct_size: size_of::<raw::Driver>() as u32,
        magic: raw::MAGIC,
        abi_major: raw::ABI_MAJOR,
        abi_minor: raw::ABI_MINOR,
        kind: match D::INFO.kind {
            driver_abi::Kind::Printer => 1,
            driver_abi::Kind::Display => 2,
        },
        id: lend(D::INFO.id),
        name: lend(D::INFO.name),
        vendor: lend(D::INFO.vendor),
        version: lend(D::INFO.version),
        licence: lend(D::INFO.licence),
        match_json: lend(D::INFO.match_json),
        config_schema: lend(D::INFO.config_schema),
        create: Some(create::<D>),
        destroy: Some(destroy::<D>),
        capabilities: Some(capabilities::<D>),
        probe: Some(probe::<D>),
        status: Some(status::<D>),
        run: Some(run::<D>),
        tick: Some(tick::<D>),
        reset: Some(reset::<D>),
    };
}

const fn lend(text: &str) -> raw::Str {
    raw::Str { ptr: text.as_ptr(), len: text.len() }
}

// === What the host calls ===

unsafe extern "C" fn create<D: Driver>(
    host: *const raw::Host,
    config: raw::Str,
    out: *mut *mut raw::Dev,
) -> i32 {
    // SAFETY: the host lends both for the call; a copy of the table is kept, which the header allows until `destroy`.
    let (host, config) = unsafe { (*host, bytes(config.ptr, config.len)) };
    let made = catch_unwind(AssertUnwindSafe(|| {
        let config = std::str::from_utf8(config).map_err(|_| Fault::Config)?;
        let host: Host = Rc::new(HostTable(host));
        D::create(host, config)
    }));
    match made {
        Ok(Ok(driver)) => {
            let device = Box::new(Device { driver, panicked: false });
            // SAFETY: `out` is the host's, for the call.
            unsafe { *out = Box::into_raw(device).cast() };
            0
        }
        Ok(Err(fault)) => fault.number(),
        Err(_) => Fault::Panic.number(),
    }
}

unsafe extern "C" fn destroy<D: Driver>(dev: *mut raw::Dev) {
    if dev.is_null() {
        return;
    }
    // SAFETY: made by `create` from a box; the host calls this once and nothing afterwards.
    let device = unsafe { Box::from_raw(dev.cast::<Device<D>>()) };
    // A panic in a drop ends here too.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(device)));
}

unsafe extern "C" fn capabilities<D: Driver>(
    dev: *mut raw::Dev,
    json: *mut u8,
    cap: usize,
    n: *mut usize,
) -> i32 {
    // SAFETY: the host's promises: `dev` is from `create`, buffers are its own for the call.
    unsafe {
        with::<D>(dev, |driver| {
            let text = serde_json::to_vec(&driver.capabilities()).map_err(|_| Fault::Internal)?;
            give(&text, json, cap, n)
        })
    }
}

unsafe extern "C" fn probe<D: Driver>(
    dev: *mut raw::Dev,
    io: *const raw::Io,
    timeout_ms: u32,
    json: *mut u8,
    cap: usize,
    n: *mut usize,
) -> i32 {
    // SAFETY: as above; `io` is lent for the call.
    unsafe {
        let mut link = IoTable(*io);
        with::<D>(dev, |driver| {
            let found = driver.probe(&mut link, ms(timeout_ms))?;
            give(found.to_string().as_bytes(), json, cap, n)
        })
    }
}

unsafe extern "C" fn status<D: Driver>(
    dev: *mut raw::Dev,
    io: *const raw::Io,
    timeout_ms: u32,
    bits: *mut u32,
) -> i32 {
    // SAFETY: as above.
    unsafe {
        let mut link = IoTable(*io);
        with::<D>(dev, |driver| {
            *bits = driver.status(&mut link, ms(timeout_ms))?.0;
            Ok(())
        })
    }
}

unsafe extern "C" fn run<D: Driver>(
    dev: *mut raw::Dev,
    io: *const raw::Io,
    ops: *const raw::Op,
    n: usize,
    timeout_ms: u32,
    result: *mut raw::RunResult,
) -> i32 {
    // SAFETY: as above; `ops` are `n` of them with their data, lent for the call.
    unsafe {
        let mut link = IoTable(*io);
        let raw_ops = if n == 0 { &[] } else { std::slice::from_raw_parts(ops, n) };
        // What a driver that panics has printed, nobody knows.
        tell(&Report::broken(driver_abi::Done::Unknown, Fault::Panic, "the driver panicked"), result);
        with::<D>(dev, |driver| {
            let read: Result<Vec<Op<'_>>, _> =
                raw_ops.iter().map(|op| Op::from_raw(op, bytes(op.data.ptr, op.data.len))).collect();
            let report = match read {
                Ok(ops) => driver.run(&mut link, &ops, ms(timeout_ms)),
                Err(error) => Report::broken(driver_abi::Done::None, Fault::Invalid, error.to_string()),
            };
            tell(&report, result);
            report.fault.map_or(Ok(()), Err)
        })
    }
}

unsafe extern "C" fn tick<D: Driver>(dev: *mut raw::Dev, io: *const raw::Io, next_ms: *mut u32) -> i32 {
    // SAFETY: as above.
    unsafe {
        let mut link = IoTable(*io);
        *next_ms = 0;
        with::<D>(dev, |driver| {
            if let Some(next) = driver.tick(&mut link)? {
                *next_ms = u32::try_from(next.as_millis()).unwrap_or(u32::MAX).max(1);
            }
            Ok(())
        })
    }
}

unsafe extern "C" fn reset<D: Driver>(dev: *mut raw::Dev, io: *const raw::Io, timeout_ms: u32) -> i32 {
    // SAFETY: as above.
    unsafe {
        let mut link = IoTable(*io);
        with::<D>(dev, |driver| driver.reset(&mut link, ms(timeout_ms)))
    }
}

/// Calls the driver unless it has panicked before.
///
/// # Safety
/// `dev` is from `create::<D>` and not destroyed.
unsafe fn with<D: Driver>(dev: *mut raw::Dev, call: impl FnOnce(&mut D) -> Result<(), Fault>) -> i32 {
    // SAFETY: the caller's promise; the header says one thread, one call at a time.
    let Some(device) = (unsafe { dev.cast::<Device<D>>().as_mut() }) else {
        return Fault::Invalid.number();
    };
    if device.panicked {
        return Fault::Panic.number();
    }
    match catch_unwind(AssertUnwindSafe(|| call(&mut device.driver))) {
        Ok(Ok(())) => 0,
        Ok(Err(fault)) => fault.number(),
        Err(_) => {
            device.panicked = true;
            Fault::Panic.number()
        }
    }
}

/// # Safety
/// `len` bytes are there for as long as the result is used, or `len` is 0.
unsafe fn bytes<'a>(ptr: *const u8, len: usize) -> &'a [u8] {
    if len == 0 || ptr.is_null() {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(ptr, len) }
}

/// # Safety
/// `out` has room for `cap` bytes, `n` is the caller's.
unsafe fn give(text: &[u8], out: *mut u8, cap: usize, n: *mut usize) -> Result<(), Fault> {
    // SAFETY: the caller's promise; never more than `cap`.
    unsafe {
        *n = text.len();
        if text.len() <= cap {
            std::ptr::copy_nonoverlapping(text.as_ptr(), out, text.len());
        }
    }
    Ok(())
}

/// # Safety
/// `out` is a result of the caller's, with its size.
unsafe fn tell(report: &Report, out: *mut raw::RunResult) {
    let mut end = report.text.len().min(raw::RESULT_TEXT_MAX);
    while !report.text.is_char_boundary(end) {
        end -= 1;
    }
    // SAFETY: the caller's promise. 1.0 is the first version: every host's struct has these fields.
    let out = unsafe { &mut *out };
    out.done = report.done.number();
    out.ops_done = u32::try_from(report.ops_done).unwrap_or(u32::MAX);
    out.device_bits = report.status.0;
    out.native_code = report.native_code;
    out.text_len = end as u32;
    out.text[..end].copy_from_slice(&report.text.as_bytes()[..end]);
}

fn ms(ms: u32) -> Duration {
    Duration::from_millis(ms.into())
}

// === What the driver calls ===

/// The host's table as [`Services`].
struct HostTable(raw::Host);

impl Services for HostTable {
    fn log(&self, level: Level, text: &str) {
        let level = match level {
            Level::Error => raw::LOG_ERROR,
            Level::Warn => raw::LOG_WARN,
            Level::Info => raw::LOG_INFO,
            Level::Debug => raw::LOG_DEBUG,
        };
        if let Some(log) = self.0.log {
            // SAFETY: the host's function and its own context.
            unsafe { log(self.0.ctx, level, lend(text)) }
        }
    }

    fn now(&self) -> Duration {
        // SAFETY: as above.
        self.0.now_ms.map_or(Duration::ZERO, |now| Duration::from_millis(unsafe { now(self.0.ctx) }))
    }

    fn cancelled(&self) -> bool {
        // SAFETY: as above.
        self.0.cancelled.is_some_and(|cancelled| unsafe { cancelled(self.0.ctx) } != 0)
    }

    fn status_changed(&self, status: Status) {
        if let Some(changed) = self.0.status_changed {
            // SAFETY: as above.
            unsafe { changed(self.0.ctx, status.0) }
        }
    }

    fn encode(&self, code_page: u32, text: &str) -> Option<(Vec<u8>, usize)> {
        let encode = self.0.encode?;
        let mut out = vec![0; text.len()];
        let (mut n, mut lossy) = (0, 0);
        // SAFETY: as above; `out` has the room it says.
        let code = unsafe {
            encode(self.0.ctx, code_page, lend(text), out.as_mut_ptr(), out.len(), &mut n, &mut lossy)
        };
        out.truncate(n);
        (code == 0).then_some((out, lossy as usize))
    }

    fn rasterise(&self, op: &Op<'_>, style: Style, dots_max: u16) -> Result<Raster, Fault> {
        let rasterise = self.0.rasterise.ok_or(Fault::Unsupported)?;
        let mut raw_op = op.to_raw();
        if matches!(op, Op::Text(_)) {
            (raw_op.flags, raw_op.a, raw_op.b) = (style.flags(), style.width.into(), style.height.into());
        }
        let (mut row_bytes, mut rows) = (0, 0);
        // SAFETY: as above; the op points into `op`, which lives longer. The first call writes no dots.
        Fault::check(unsafe {
            rasterise(
                self.0.ctx,
                &raw_op,
                dots_max.into(),
                std::ptr::null_mut(),
                0,
                &mut row_bytes,
                &mut rows,
            )
        })?;
        let mut dots = vec![0; row_bytes as usize * rows as usize];
        // SAFETY: as above; `dots` has the room it says.
        Fault::check(unsafe {
            rasterise(
                self.0.ctx,
                &raw_op,
                dots_max.into(),
                dots.as_mut_ptr(),
                dots.len(),
                &mut row_bytes,
                &mut rows,
            )
        })?;
        Ok(Raster { row_bytes: row_bytes as usize, dots })
    }
}

/// The host's I/O as a [`Link`].
struct IoTable(raw::Io);

impl IoTable {
    fn send(&mut self, bytes: &[u8], flags: u32, timeout: Duration) -> Result<(), Broken> {
        let write = self.0.write.ok_or(Broken { fault: Fault::Unsupported, written: 0 })?;
        let mut written = 0;
        // SAFETY: the host's function and its own context; the bytes are lent for the call.
        let code =
            unsafe { write(self.0.ctx, bytes.as_ptr(), bytes.len(), flags, for_c(timeout), &mut written) };
        Fault::check(code).map_err(|fault| Broken { fault, written })
    }
}

impl Link for IoTable {
    fn write(&mut self, bytes: &[u8], timeout: Duration) -> Result<(), Broken> {
        self.send(bytes, raw::W_PRINT, timeout)
    }

    fn ask(&mut self, bytes: &[u8], timeout: Duration) -> Result<(), Fault> {
        self.send(bytes, raw::W_ASK, timeout).map_err(|broken| broken.fault)
    }

    fn read(&mut self, buffer: &mut [u8], timeout: Duration) -> Result<usize, Fault> {
        let read = self.0.read.ok_or(Fault::Unsupported)?;
        let mut got = 0;
        // SAFETY: as above; the buffer has the room it says.
        let code = unsafe { read(self.0.ctx, buffer.as_mut_ptr(), buffer.len(), for_c(timeout), &mut got) };
        Fault::check(code)?;
        if got == 0 { Err(Fault::Timeout) } else { Ok(got.min(buffer.len())) }
    }

    fn control_in(
        &mut self,
        request: ControlIn,
        buffer: &mut [u8],
        timeout: Duration,
    ) -> Result<usize, Fault> {
        let control_in = self.0.control_in.ok_or(Fault::Unsupported)?;
        let mut got = 0;
        // SAFETY: as above.
        let code = unsafe {
            control_in(
                self.0.ctx,
                request.request_type,
                request.request,
                request.value,
                request.index,
                buffer.as_mut_ptr(),
                buffer.len(),
                for_c(timeout),
                &mut got,
            )
        };
        Fault::check(code)?;
        Ok(got.min(buffer.len()))
    }
}

fn for_c(timeout: Duration) -> u32 {
    u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX)
}
