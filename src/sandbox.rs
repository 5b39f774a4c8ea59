//! Sandbox: before it serves, the process gives up new privileges, files that are not its own and system
//! calls that a provider never makes. An attacker who takes it over has no more than that.

use std::{
    collections::BTreeMap,
    fmt,
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use landlock::{
    ABI, Access, AccessFs, BitFlags, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus,
    Scope, path_beneath_rules,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, sock_filter,
};

/// What the operator wants of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SandboxMode {
    /// As much as this kernel offers.
    Auto,
    /// All of it, or the process does not start.
    Require,
    Off,
}

/// The files that the process needs once it runs; all else is out of allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedPaths {
    /// Folders, and what is in them.
    pub write: Vec<PathBuf>,
    /// Folders that exist, in which folders and links are made too.
    pub tree: Vec<PathBuf>,
    /// Folders with what is in them, and files. What does not exist is left out.
    pub read: Vec<PathBuf>,
    /// Other processes of the container, or of a pod that shares its processes, may be signalled.
    pub signals: bool,
}

/// Names, certificates and processors, as they are looked up while the process runs.
const SYSTEM: [&str; 10] = [
    "/etc/ca-certificates",
    "/etc/hosts",
    "/etc/pki",
    "/etc/resolv.conf",
    "/etc/ssl",
    "/proc/self",
    "/sys/fs/cgroup",
    "/usr/lib/ssl",
    "/usr/local/share/ca-certificates",
    "/usr/share/ca-certificates",
];

/// How each part of it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub no_new_privileges: LayerStatus,
    /// Landlock.
    pub files: LayerStatus,
    /// seccomp.
    pub system_calls: LayerStatus,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LayerStatus {
    Held,
    /// An older kernel does not know all that was asked of it.
    HeldInPart,
    Missing(String),
}

impl fmt::Display for LayerStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LayerStatus::Held => f.write_str("held"),
            LayerStatus::HeldInPart => f.write_str("held as far as this kernel can"),
            LayerStatus::Missing(why) => write!(f, "missing: {why}"),
        }
    }
}

impl Report {
    /// Whether the process may go on with it, which is the operator's to say.
    pub fn suffices(&self, mode: SandboxMode) -> Result<(), String> {
        let gaps = self.gaps();
        match mode {
            SandboxMode::Require if !gaps.is_empty() => {
                Err(format!("--sandbox is require, and missing are {}", gaps.join("; ")))
            }
            SandboxMode::Auto | SandboxMode::Require | SandboxMode::Off => Ok(()),
        }
    }

    /// What keeps it from being all that was asked for.
    fn gaps(&self) -> Vec<String> {
        let Self { no_new_privileges, files, system_calls } = self;
        let parts = [
            ("no new privileges", no_new_privileges),
            ("files", files),
            ("system calls", system_calls),
        ];
        let gap = |(name, part): (&str, &LayerStatus)| match part {
            LayerStatus::Missing(why) => Some(format!("{name}: {why}")),
            LayerStatus::Held | LayerStatus::HeldInPart => None,
        };
        parts.into_iter().filter_map(gap).collect()
    }
}

/// For the calling thread and those that it starts from now on: to be called before there are any.
pub fn enter(allowed: &AllowedPaths) -> Report {
    let no_new_privileges = match rustix::thread::set_no_new_privs(true) {
        Ok(()) => LayerStatus::Held,
        Err(error) => LayerStatus::Missing(error.to_string()),
    };
    let files = confine(allowed).unwrap_or_else(|error| LayerStatus::Missing(error.to_string()));
    let system_calls = match refuse_calls() {
        Ok(()) => LayerStatus::Held,
        Err(error) => LayerStatus::Missing(error.to_string()),
    };
    Report { no_new_privileges, files, system_calls }
}

/// The newest that is asked for; a kernel that knows less does what it can.
const LANDLOCK: ABI = ABI::V6;

fn confine(allowed: &AllowedPaths) -> Result<LayerStatus, landlock::RulesetError> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let write: BitFlags<AccessFs> = read
        | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeReg
        | AccessFs::MakeSock
        | AccessFs::RemoveFile;
    for folder in &allowed.write {
        // A rule needs something to stand on; who binds the socket says what is wrong with it.
        let _ = DirBuilder::new().recursive(true).mode(0o755).create(folder);
    }
    let tree = write | AccessFs::MakeDir | AccessFs::MakeSym | AccessFs::RemoveDir;
    let scope = match allowed.signals {
        true => BitFlags::from(Scope::AbstractUnixSocket),
        false => Scope::AbstractUnixSocket | Scope::Signal,
    };
    let system = SYSTEM.iter().map(Path::new);
    let readable = allowed.read.iter().map(PathBuf::as_path).chain(system);
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(LANDLOCK))?
        .scope(scope)?
        .create()?
        .add_rules(path_beneath_rules(readable, read))?
        .add_rules(path_beneath_rules(&allowed.write, write))?
        .add_rules(path_beneath_rules(&allowed.tree, tree))?
        .restrict_self()?;
    Ok(match status.ruleset {
        RulesetStatus::FullyEnforced => LayerStatus::Held,
        RulesetStatus::PartiallyEnforced => LayerStatus::HeldInPart,
        RulesetStatus::NotEnforced => {
            LayerStatus::Missing("this kernel has no Landlock".to_owned())
        }
    })
}

/// Other programs, other processes' memory, other namespaces, the kernel's own settings. The container
/// runtime's profile is a list of what is allowed; this is the list of what it leaves open.
const REFUSED: &[i64] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_adjtimex,
    libc::SYS_bpf,
    libc::SYS_capset,
    libc::SYS_chroot,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_fanotify_init,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kcmp,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_memfd_create,
    libc::SYS_mknodat,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_personality,
    libc::SYS_pidfd_getfd,
    libc::SYS_pivot_root,
    libc::SYS_process_madvise,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setdomainname,
    libc::SYS_setgid,
    libc::SYS_setgroups,
    libc::SYS_sethostname,
    libc::SYS_setns,
    libc::SYS_setregid,
    libc::SYS_setresgid,
    libc::SYS_setresuid,
    libc::SYS_setreuid,
    libc::SYS_settimeofday,
    libc::SYS_setuid,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
];

/// What sockets can speak: the driver, and the cloud with its name servers.
const FAMILIES: [i32; 3] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6];

/// Where x86-64's second set of numbers begins, with which kernels that have the x32 ABI take the same
/// calls: a list of numbers alone would be passed by.
const X32: u32 = 0x4000_0000;
/// Where a filter finds the call's number (`struct seccomp_data`).
const NUMBER: u32 = 0;

fn refuse_calls() -> Result<(), seccompiler::Error> {
    seccompiler::apply_filter(&filter()?)
}

fn filter() -> Result<BpfProgram, seccompiler::Error> {
    let other_family = FAMILIES.map(|family| {
        let family = u64::from(family.unsigned_abs());
        SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, family)
    });
    let other_family: Result<Vec<_>, _> = other_family.into_iter().collect();
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    rules.insert(libc::SYS_socket, vec![SeccompRule::new(other_family?)?]);
    // An error and not the end of the process: a library that tries can go on without.
    let refusal = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let machine = std::env::consts::ARCH.try_into()?;
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refusal.clone(), machine)?;
    let mut program: BpfProgram = filter.try_into()?;
    let step = |code: u32, jf, k| sock_filter { code: code as u16, jt: 0, jf, k };
    program.splice(
        0..0,
        [
            step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, NUMBER),
            step(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 1, X32),
            step(libc::BPF_RET | libc::BPF_K, 0, refusal.into()),
        ],
    );
    Ok(program)
}

#[cfg(test)]
mod tests;
