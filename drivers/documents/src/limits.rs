//! Every limit of a template and of what is made from it.

/// Bytes of a template's file.
pub const TEMPLATE_BYTES_MAX: usize = 64 * 1024;
/// Elements of a document, and steps of a display.
pub const ELEMENTS_MAX: usize = 64;
/// Characters of a text in a template.
pub const TEXT_CHARS_MAX: usize = 500;
/// Characters of a value that are printed or shown.
pub const VALUE_CHARS_MAX: usize = 300;
/// Bytes of a QR code's data; more is no ticket's code.
pub const QR_BYTES_MAX: usize = 1_000;
/// Cells of a row of columns.
pub const CELLS_MAX: usize = 8;
/// Lines that one element may take.
pub const ELEMENT_LINES_MAX: usize = 12;
/// Ops of a document: what the other limits make at most.
pub const DOCUMENT_OPS_MAX: usize = 2_048;
/// Lines of a display that a step may fill.
pub const DISPLAY_LINES_MAX: usize = 8;

// Every element may take all its lines, two ops each, a style and an align before them, and both set back at the end.
const _: () = assert!(ELEMENTS_MAX * (2 * ELEMENT_LINES_MAX + 2) + 2 <= DOCUMENT_OPS_MAX);
