use std::{
    fs,
    io::ErrorKind::PermissionDenied,
    net::TcpListener,
    os::{
        fd::AsFd,
        unix::net::{UnixListener, UnixStream},
    },
    process::Command,
    thread,
};

use super::*;

/// The kernel holds the thread that enters, so a test can give up one of its own.
fn inside(allowed: AllowedPaths, test: impl FnOnce(Report) + Send + 'static) {
    thread::spawn(move || test(enter(&allowed))).join().unwrap();
}

#[test]
fn what_a_kernel_lacks_ends_the_process_only_where_all_is_required() {
    let all = Report {
        no_new_privileges: LayerStatus::Held,
        files: LayerStatus::HeldInPart,
        system_calls: LayerStatus::Held,
    };
    let lacks = Report { files: LayerStatus::Missing("no Landlock".to_owned()), ..all.clone() };
    for mode in [SandboxMode::Auto, SandboxMode::Require, SandboxMode::Off] {
        assert_eq!(all.suffices(mode), Ok(()));
    }
    assert_eq!(lacks.suffices(SandboxMode::Auto), Ok(()));
    let why = lacks.suffices(SandboxMode::Require).unwrap_err();
    assert_eq!(why, "--sandbox is require, and missing are files: no Landlock");
}

/// What the kernel would do with a call, by the steps that filters here are made of.
fn verdict(program: &[sock_filter], number: u32, first_argument: u32) -> u32 {
    let arch = match std::env::consts::ARCH {
        "x86_64" => 0xc000_003e, // AUDIT_ARCH_X86_64
        _ => 0xc000_00b7,        // AUDIT_ARCH_AARCH64
    };
    let (mut at, mut register) = (0, 0);
    loop {
        let sock_filter { code, jt, jf, k } = &program[at];
        let jump = |taken: bool| usize::from(if taken { *jt } else { *jf });
        at += 1;
        match u32::from(*code) {
            0x20 => {
                register = match k {
                    0 => number,
                    4 => arch,
                    16 => first_argument,
                    _ => 0,
                }
            }
            0x05 => at += *k as usize,
            0x15 => at += jump(register == *k),
            0x35 => at += jump(register >= *k),
            0x06 => return *k,
            code => panic!("step {code:#x}"),
        }
    }
}

#[test]
fn second_numbers_of_calls_are_refused_too() {
    let program = filter().unwrap();
    let refused = u32::from(SeccompAction::Errno(libc::EPERM.unsigned_abs()));
    let allowed = u32::from(SeccompAction::Allow);
    let number = |call: i64| u32::try_from(call).unwrap();
    for call in [libc::SYS_execve, libc::SYS_bpf, libc::SYS_read] {
        assert_eq!(verdict(&program, X32 | number(call), 0), refused, "{call}");
    }
    // x32 has numbers of its own for some, such as this one for execve.
    assert_eq!(verdict(&program, X32 | 520, 0), refused);
    assert_eq!(verdict(&program, number(libc::SYS_execve), 0), refused);
    assert_eq!(verdict(&program, number(libc::SYS_read), 0), allowed);
    let socket = |family: i32| verdict(&program, number(libc::SYS_socket), family.unsigned_abs());
    assert_eq!((socket(libc::AF_INET), socket(libc::AF_NETLINK)), (allowed, refused));
}

#[test]
fn what_was_given_up_is_refused_and_the_rest_works() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    for name in ["own", "token", "foreign"] {
        fs::create_dir(path(name)).unwrap();
        fs::write(path(name).join("file"), "text").unwrap();
    }
    let (own, token, foreign) = (path("own"), path("token"), path("foreign"));
    let allowed = AllowedPaths {
        write: vec![own.clone()],
        read: vec![token.clone(), path("none")],
        ..AllowedPaths::default()
    };
    inside(allowed, move |report| {
        assert_eq!(report.gaps(), Vec::<String>::new());
        let refused = |outcome: std::io::Result<()>| {
            assert_eq!(outcome.unwrap_err().kind(), PermissionDenied);
        };
        let _listener = UnixListener::bind(own.join("socket")).unwrap();
        let _stream = UnixStream::connect(own.join("socket")).unwrap();
        fs::write(own.join("new"), "text").unwrap();
        fs::rename(own.join("new"), own.join("file")).unwrap();
        fs::remove_file(own.join("file")).unwrap();
        assert_eq!(fs::read_to_string(token.join("file")).unwrap(), "text");
        TcpListener::bind("127.0.0.1:0").unwrap();

        refused(fs::write(token.join("file"), "other"));
        refused(fs::remove_file(token.join("file")));
        refused(fs::read(foreign.join("file")).map(drop));
        refused(fs::read("/etc/passwd").map(drop));
        refused(fs::create_dir(own.join("folder")));
        refused(fs::rename(own.join("socket"), foreign.join("socket")));
        refused(Command::new("/bin/true").status().map(drop));
        for family in [libc::AF_PACKET, libc::AF_NETLINK] {
            let family = rustix::net::AddressFamily::from_raw(family as u16);
            let raw = rustix::net::SocketType::RAW;
            refused(rustix::net::socket(family, raw, None).map(drop).map_err(Into::into));
        }
        let users = fs::File::open("/proc/self/ns/user").unwrap();
        let moved = rustix::thread::move_into_link_name_space(users.as_fd(), None);
        refused(moved.map_err(Into::into));
        if report.files == LayerStatus::Held {
            let other = rustix::process::getppid().unwrap();
            refused(rustix::process::test_kill_process(other).map_err(Into::into));
        }
    });
    assert!(fs::read(path("foreign").join("file")).is_ok(), "other threads are as they were");
}
