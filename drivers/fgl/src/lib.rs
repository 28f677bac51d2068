//! Boca ticket printers (FGL).
