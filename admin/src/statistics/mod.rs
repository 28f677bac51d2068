//! What is reckoned from figures: intervals on a venue's clock, arrival curves, forecasts. Pure; knows no store and no route.

mod curve;
mod forecast;
mod interval;

pub use curve::Curve;
pub use forecast::{Earlier, Method, Reached, forecast};
pub use interval::Interval;
