//! Location: where in a manifest a mistake is, for who has its text before him.

use crate::yaml::Position;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A parameter, by its name.
    Parameter(Box<str>),
    /// In the text of parameter `objects`.
    Objects(Position),
    /// An annotation of the ServiceAccount, by its name.
    Annotation(Box<str>),
}
