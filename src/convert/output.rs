//! The forms of the list: for people, and for programs.

pub mod json;
pub mod text;
