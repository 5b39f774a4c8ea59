//! Doctor: what keeps mounts from working here, line by line: what was seen, and what to do about it. Pure: who
//! looks and asks is `commands/doctor`, and here it is judged.

pub(crate) mod bundle;
pub(crate) mod certificate;
pub(crate) mod check;
pub(crate) mod checks;
pub(crate) mod facts;
pub(crate) mod line;
pub(crate) mod output;

#[cfg(test)]
mod tests;
