//! The emulator from outside: one binary, for one build.

#[cfg(test)]
mod access;
#[cfg(test)]
mod cloud;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod legacy;
#[cfg(test)]
mod listeners;
#[cfg(test)]
mod recorded_requests;
#[cfg(test)]
mod signatures;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tokens;
