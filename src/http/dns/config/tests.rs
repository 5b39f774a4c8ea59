use std::path::Path;

use tempfile::TempDir;

use super::*;

fn conf(more: &str) -> Conf {
    Conf::parse(&format!("nameserver 192.0.2.1\n{more}\n")).unwrap()
}

fn candidates(more: &str, host: &str) -> (Vec<String>, bool) {
    let (names, given_first) = conf(more).candidates(host);
    (names.iter().map(|name| name.to_string()).collect(), given_first)
}

fn servers(text: &str) -> Vec<String> {
    let conf = Conf::parse(text).unwrap_or_default();
    conf.servers.iter().map(ToString::to_string).collect()
}

fn addresses(hosts: &str, host: &str) -> Option<Vec<String>> {
    let addresses = Hosts::parse(hosts).get(host)?;
    Some(addresses.iter().map(ToString::to_string).collect())
}

// resolv.conf

#[test]
fn first_three_name_servers_count() {
    let lines: String = (1..=4).map(|n| format!("nameserver 192.0.2.{n}\n")).collect();
    assert_eq!(servers(&lines), ["192.0.2.1:53", "192.0.2.2:53", "192.0.2.3:53"]);
}

#[test]
fn name_server_has_the_port_that_is_written_with_it() {
    let lines = "nameserver [192.0.2.1]:5353\nnameserver [fd00::1]:54\n";
    assert_eq!(servers(lines), ["192.0.2.1:5353", "[fd00::1]:54"]);
}

#[test]
fn name_server_that_is_no_address_is_left_out() {
    for server in ["dns", "[192.0.2.1]", "[fd00::1]:x", "fe80::1%no-such-link", "192.0.2.1%1", ""] {
        assert_eq!(servers(&format!("nameserver {server}\n")), [""; 0], "{server}");
    }
}

#[test]
fn tcp_alone_is_used_only_where_that_is_set() {
    assert!(!conf("options use-vc:1 rotate").tcp_only);
    assert!(conf("options rotate use-vc").tcp_only);
}

#[test]
fn domain_is_a_search_list_of_one() {
    assert_eq!(candidates("search a b\ndomain C", "kms").0, ["kms.c", "kms"]);
}

#[test]
fn root_as_a_search_domain_adds_no_name() {
    assert_eq!(candidates("search . a.", "kms").0, ["kms.a", "kms"]);
}

#[test]
fn host_that_ends_in_a_dot_is_asked_for_alone() {
    assert_eq!(candidates("search a", "kms."), (vec!["kms".to_owned()], true));
}

#[test]
fn host_of_three_dots_is_asked_for_alone() {
    assert_eq!(candidates("search a\noptions ndots:9", "a.b.c.d").0, ["a.b.c.d"]);
    assert_eq!(candidates("search x\noptions ndots:9", "a.b.c").0, ["a.b.c", "a.b.c.x"]);
}

#[test]
fn host_itself_comes_first_with_as_many_dots_as_ndots_says() {
    for (options, host, first) in [
        ("", "kms", false),
        ("", "kms.vpc", true),
        ("options ndots:0", "kms", true),
        ("options ndots:2", "kms.vpc", false),
        ("options ndots:2", "kms.shop.svc", true),
        ("options ndots:x", "kms.vpc", true),
    ] {
        let (names, given_first) = candidates(&format!("search a\n{options}"), host);
        assert_eq!(given_first, first, "{options} {host}");
        assert_eq!(names[0] == host, first, "{options} {host}");
    }
}

// hosts

#[test]
fn host_has_the_addresses_of_all_its_lines_ipv4_first() {
    let hosts = "fd00::1 kms\n192.0.2.1 other KMS # kms\n192.0.2.1 kms\n";
    assert_eq!(addresses(hosts, "kms").unwrap(), ["192.0.2.1", "fd00::1"]);
    assert_eq!(addresses(hosts, "kms.").unwrap(), ["192.0.2.1", "fd00::1"]);
}

#[test]
fn host_in_a_comment_or_behind_no_address_is_unknown() {
    assert_eq!(addresses("192.0.2.1 a # kms\n# 192.0.2.1 kms\nx kms\n", "kms"), None);
}

#[test]
fn localhost_is_this_machine_unless_the_file_says_otherwise() {
    for host in ["localhost", "a.localhost", "localhost."] {
        assert_eq!(addresses("", host).unwrap(), ["127.0.0.1", "::1"], "{host}");
    }
    assert_eq!(addresses("192.0.2.1 localhost\n", "localhost").unwrap(), ["192.0.2.1"]);
    assert_eq!(addresses("", "mylocalhost"), None);
}

// Files that change.

/// Files of one word are usable.
fn watched(path: &Path) -> Watched<String> {
    Watched::new(&path.display().to_string(), |text| (!text.contains(' ')).then(|| text.to_owned()))
}

fn current(file: &Watched<String>) -> (String, u64) {
    let (value, version) = file.current();
    (value.to_string(), version)
}

#[test]
fn file_that_changes_is_read_again_under_another_number() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, "one").unwrap();
    let file = watched(&path);
    let first = current(&file);
    assert_eq!(current(&file), first);
    std::fs::write(&path, "another").unwrap();
    let second = current(&file);
    assert_eq!((&*first.0, &*second.0), ("one", "another"));
    assert_ne!(first.1, second.1);
}

#[test]
fn file_that_is_not_usable_leaves_what_was_read_last() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, "one").unwrap();
    let file = watched(&path);
    let first = current(&file);
    std::fs::write(&path, "not usable").unwrap();
    assert_eq!(current(&file), first);
}

#[test]
fn file_that_is_gone_leaves_what_was_read_last() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, "one").unwrap();
    let file = watched(&path);
    let first = current(&file);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(current(&file), first);
}

#[test]
fn file_that_never_was_is_empty() {
    assert_eq!(current(&watched(Path::new("/no/file"))), (String::new(), 0));
}
