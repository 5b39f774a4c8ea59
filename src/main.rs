//! The process: its allocator, what holds for every command, its exit status.

use std::{alloc::System, process::ExitCode};

use provider::{
    cli::{self, Invocation},
    commands::{self, serve},
    telemetry::log,
};
use rustix::process::{DumpableBehavior, Resource, Rlimit};
use zeroizing_alloc::ZeroAlloc;

/// Wipes what is freed: the copies that libraries make of a secret on its way through.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

fn main() -> ExitCode {
    disable_core_dumps();
    log::withhold_panic_messages();
    match cli::parse(std::env::args_os()) {
        Ok(Invocation::Serve(flags)) => serve::run(&flags),
        Ok(Invocation::Command(command, matches)) => command.run(&matches),
        Err(error) => {
            // Its text holds names of flags; values come in as text and are not judged there.
            let _ = error.print();
            ExitCode::from(if error.use_stderr() { commands::USAGE } else { 0 })
        }
    }
}

/// A core file would hold every secret of the node's pods, on a disk. A kernel that refuses this
/// is no reason not to serve them.
fn disable_core_dumps() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let _ = rustix::process::setrlimit(Resource::Core, none);
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
}
