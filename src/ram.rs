//! RAM: what manifests need of Resource Access Management: permission and trust policies for exactly these, and
//! what a policy that exists or an audit record says beside them.

pub(crate) mod compare;
mod document;
pub(crate) mod grants;
pub(crate) mod output;
mod system;
pub(crate) mod usage;
