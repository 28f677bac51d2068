//! The header's types, one to one. A test compiles the header and compares sizes, offsets and numbers. Knows no Rust
//! types: see `op` and `words` for those.
#![expect(
    missing_docs,
    reason = "the header documents each of them; a second text here would only drift from it"
)]

use std::ffi::c_void;

pub const MAGIC: u32 = 0x3144_4847;
pub const ABI_MAJOR: u16 = 1;
pub const ABI_MINOR: u16 = 0;
pub const ENTRY: &str = "ghd_driver_entry_v1";
pub const RESULT_TEXT_MAX: usize = 160;

pub const W_PRINT: u32 = 0;
pub const W_ASK: u32 = 1;

pub const LOG_ERROR: i32 = 1;
pub const LOG_WARN: i32 = 2;
pub const LOG_INFO: i32 = 3;
pub const LOG_DEBUG: i32 = 4;

pub const STYLE_BOLD: u32 = 1;
pub const STYLE_UNDERLINE: u32 = 1 << 1;
pub const STYLE_INVERT: u32 = 1 << 2;

pub const OP_TEXT: u32 = 1;
pub const OP_NEWLINE: u32 = 2;
pub const OP_FEED: u32 = 3;
pub const OP_STYLE: u32 = 4;
pub const OP_ALIGN: u32 = 5;
pub const OP_RULE: u32 = 6;
pub const OP_QR: u32 = 7;
pub const OP_BARCODE: u32 = 8;
pub const OP_IMAGE: u32 = 9;
pub const OP_CUT: u32 = 10;
pub const OP_DRAWER: u32 = 11;
pub const OP_BEEP: u32 = 12;
pub const OP_PLACE: u32 = 13;
pub const OP_D_CLEAR: u32 = 64;
pub const OP_D_LINE: u32 = 65;
pub const OP_D_SCROLL: u32 = 66;
pub const OP_D_BRIGHT: u32 = 67;
pub const OP_D_BLINK: u32 = 68;
pub const OP_D_CURSOR: u32 = 69;

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Str {
    pub ptr: *const u8,
    pub len: usize,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Bytes {
    pub ptr: *const u8,
    pub len: usize,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Op {
    pub kind: u32,
    pub flags: u32,
    pub a: i32,
    pub b: i32,
    pub c: i32,
    pub d: i32,
    pub data: Bytes,
}

pub type WriteFn = unsafe extern "C" fn(*mut c_void, *const u8, usize, u32, u32, *mut usize) -> i32;
pub type ReadFn = unsafe extern "C" fn(*mut c_void, *mut u8, usize, u32, *mut usize) -> i32;
pub type ControlInFn =
    unsafe extern "C" fn(*mut c_void, u8, u8, u16, u16, *mut u8, usize, u32, *mut usize) -> i32;

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Io {
    pub struct_size: u32,
    pub ctx: *mut c_void,
    pub write: Option<WriteFn>,
    pub read: Option<ReadFn>,
    pub control_in: Option<ControlInFn>,
}

pub type LogFn = unsafe extern "C" fn(*mut c_void, i32, Str);
pub type EncodeFn = unsafe extern "C" fn(*mut c_void, u32, Str, *mut u8, usize, *mut usize, *mut u32) -> i32;
pub type RasteriseFn =
    unsafe extern "C" fn(*mut c_void, *const Op, u32, *mut u8, usize, *mut u32, *mut u32) -> i32;

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Host {
    pub struct_size: u32,
    pub abi_major: u16,
    pub abi_minor: u16,
    pub ctx: *mut c_void,
    pub log: Option<LogFn>,
    pub now_ms: Option<unsafe extern "C" fn(*mut c_void) -> u64>,
    pub cancelled: Option<unsafe extern "C" fn(*mut c_void) -> i32>,
    pub status_changed: Option<unsafe extern "C" fn(*mut c_void, u32)>,
    pub encode: Option<EncodeFn>,
    pub rasterise: Option<RasteriseFn>,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct RunResult {
    pub struct_size: u32,
    pub done: u32,
    pub ops_done: u32,
    pub device_bits: u32,
    pub native_code: i32,
    pub text_len: u32,
    pub text: [u8; RESULT_TEXT_MAX],
}

/// The driver's own; only a pointer to it crosses.
#[repr(C)]
#[derive(Debug)]
pub struct Dev {
    _opaque: [u8; 0],
}

pub type CreateFn = unsafe extern "C" fn(*const Host, Str, *mut *mut Dev) -> i32;
pub type CapabilitiesFn = unsafe extern "C" fn(*mut Dev, *mut u8, usize, *mut usize) -> i32;
pub type ProbeFn = unsafe extern "C" fn(*mut Dev, *const Io, u32, *mut u8, usize, *mut usize) -> i32;
pub type StatusFn = unsafe extern "C" fn(*mut Dev, *const Io, u32, *mut u32) -> i32;
pub type RunFn = unsafe extern "C" fn(*mut Dev, *const Io, *const Op, usize, u32, *mut RunResult) -> i32;
pub type TickFn = unsafe extern "C" fn(*mut Dev, *const Io, *mut u32) -> i32;
pub type ResetFn = unsafe extern "C" fn(*mut Dev, *const Io, u32) -> i32;

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Driver {
    pub struct_size: u32,
    pub magic: u32,
    pub abi_major: u16,
    pub abi_minor: u16,
    pub kind: u32,
    pub id: Str,
    pub name: Str,
    pub vendor: Str,
    pub version: Str,
    pub licence: Str,
    pub match_json: Str,
    pub config_schema: Str,
    pub create: Option<CreateFn>,
    pub destroy: Option<unsafe extern "C" fn(*mut Dev)>,
    pub capabilities: Option<CapabilitiesFn>,
    pub probe: Option<ProbeFn>,
    pub status: Option<StatusFn>,
    pub run: Option<RunFn>,
    pub tick: Option<TickFn>,
    pub reset: Option<ResetFn>,
}

pub type EntryFn = unsafe extern "C" fn(u16, u16) -> *const Driver;
