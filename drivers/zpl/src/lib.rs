//! Label and ticket printers that speak ZPL.
