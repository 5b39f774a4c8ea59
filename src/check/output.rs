//! Output: a report for people, for programs, for code scanning, for GitHub's workflows.

pub mod github;
pub mod json;
pub mod sarif;
pub mod text;
mod token;

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Text,
    Json,
    Sarif,
    GitHub,
}

impl Format {
    pub const ALL: [Self; 4] = [Format::Text, Format::Json, Format::Sarif, Format::GitHub];

    pub fn name(self) -> &'static str {
        match self {
            Format::Text => "text",
            Format::Json => "json",
            Format::Sarif => "sarif",
            Format::GitHub => "github",
        }
    }
}
