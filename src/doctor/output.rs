//! The forms of a report.

pub(crate) mod json;
pub(crate) mod text;
