//! Printers and displays of a venue.
