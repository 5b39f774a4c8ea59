"""Advisories, exceptions, the embedded list of crates and code that runs in the build, each fault on a made case."""

import datetime
import importlib.machinery
import importlib.util
import json
import pathlib
import struct
import sys
import tempfile
import unittest
import zlib

RELEASE = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(RELEASE))
sys.dont_write_bytecode = True
import crates  # noqa: E402
import elf  # noqa: E402


def script(name):
    loader = importlib.machinery.SourceFileLoader(name.replace("-", "_"), str(RELEASE / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


advisories, build_code, hardening = script("advisories"), script("build-code"), script("hardening")
TODAY = datetime.date(2026, 6, 1)
ADVISORY = """```toml
[advisory]
id = "RUSTSEC-2026-0001"
package = "shop"
date = "2026-05-04"

[versions]
patched = [">= 1.2.3", "^0.9.4"]
unaffected = ["< 0.5"]
```

# It sells too much
"""


class Requirements(unittest.TestCase):
    def test_each_form_of_a_requirement(self):
        for version, requirement, holds in [
            ("1.2.3", ">= 1.2.3", True),
            ("1.2.3-alpha.1", ">= 1.2.3", False),
            ("1.2.3+build", "= 1.2.3", True),
            ("0.22.4", ">= 0.22.4, < 0.23.0", True),
            ("0.23.0", ">= 0.22.4, < 0.23.0", False),
            ("1.9.0", "^1.2", True),
            ("2.0.0", "^1.2", False),
            ("0.9.9", "^0.9.4", True),
            ("0.10.0", "^0.9.4", False),
            ("0.0.4", "^0.0.3", False),
            ("0.7.0", "^0", True),
            ("1.2.9", "~1.2.3", True),
            ("1.3.0", "~1.2.3", False),
            ("1.2.0", "> 1.2", False),
            ("1.10.0", "<= 1.9", False),
            ("1.0.0-rc.2", "< 1.0.0-rc.10", True),
        ]:
            with self.subTest(f"{version} {requirement}"):
                self.assertEqual(crates.fits(version, requirement), holds)

    def test_a_requirement_that_is_not_understood_is_no_silent_pass(self):
        with self.assertRaises(ValueError):
            crates.fits("1.0.0", ">= one")


class Advisories(unittest.TestCase):
    def faults(self, version, *excepted, text=ADVISORY):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "crates", "shop", "RUSTSEC-2026-0001.md")
            file.parent.mkdir(parents=True)
            file.write_text(text)
            return "; ".join(advisories.faults(folder, {("shop", version): {}}, excepted, TODAY))

    def test_versions_that_have_the_fix_or_never_had_the_fault_pass(self):
        for version in ("1.2.3", "0.9.5", "0.4.0"):
            self.assertEqual(self.faults(version), "")

    def test_a_version_that_has_the_fault_is_named_with_the_advisory(self):
        self.assertEqual(self.faults("1.2.2"), "RUSTSEC-2026-0001 applies to shop 1.2.2: It sells too much")

    def test_a_withdrawn_advisory_does_not_count(self):
        withdrawn = ADVISORY.replace('date = "2026-05-04"', 'date = "2026-05-04"\nwithdrawn = "2026-05-05"')
        self.assertEqual(self.faults("1.2.2", text=withdrawn), "")

    def test_an_exception_holds_until_its_day_and_no_longer(self):
        accepted = {"id": "RUSTSEC-2026-0001", "until": TODAY, "reason": "no shop", "status": "affected", "action": "wait"}
        self.assertEqual(self.faults("1.2.2", accepted), "")
        self.assertIn("ended on", self.faults("1.2.2", accepted | {"until": TODAY - datetime.timedelta(1)}))
        self.assertIn("needs a reason", self.faults("1.2.2", accepted | {"reason": ""}))
        self.assertIn("with an action", self.faults("1.2.2", accepted | {"action": ""}))
        self.assertIn("not needed", self.faults("1.2.3", accepted))

    def test_a_folder_that_is_no_database_is_no_silent_pass(self):
        with tempfile.TemporaryDirectory() as folder, self.assertRaises(FileNotFoundError):
            advisories.faults(folder, {("shop", "1.0.0"): {}}, [], TODAY)


class BuildCode(unittest.TestCase):
    def test_abilities_are_found_in_code_and_not_in_comments(self):
        text = "// std::net::TcpStream\nlet c = Command::new(rustc);\nclap::Command::new(x);\nfs::write(a, b);"
        self.assertEqual(build_code.abilities(text), ["process", "files"])
        for text in ("let s = std::net::TcpStream::connect(a);", "use std::net::{self};", "unsafe { libc::connect(a) }"):
            self.assertEqual(build_code.abilities(text), ["network"], text)
        self.assertEqual(build_code.abilities("impl_value![std::net::IpAddr, std::net::SocketAddrV4];"), [])
        self.assertEqual(build_code.abilities("quote! { clap::Command::new(#name) }"), [])

    def test_new_crates_versions_and_abilities_are_faults(self):
        about = {"version": "1.0.0", "runs": "macro", "names": [], "sha256": "a"}
        listed = {"shop": about | {"why": "shops"}}
        self.assertEqual(build_code.faults({"shop": about}, listed), [])
        for there, said in [
            ({"shop": about, "stall": about}, "stall: a macro that is not listed"),
            ({"shop": about | {"version": "1.0.1"}}, "version is 1.0.1, listed 1.0.0"),
            ({"shop": about | {"names": ["process"]}}, "names is ['process'], listed []"),
            ({"shop": about | {"sha256": "b"}}, "sha256 is b, listed a"),
            ({"shop": about | {"names": ["network"]}}, "names the network"),
            ({}, "runs no more"),
        ]:
            self.assertIn(said, "; ".join(build_code.faults(there, listed)))


    def test_crate_without_a_sentence_is_a_fault(self):
        about = {"version": "1.0.0", "runs": "macro", "names": [], "sha256": "a"}
        self.assertIn("does not say what it is for", "; ".join(build_code.faults({"shop": about}, {"shop": about | {"why": ""}})))

    def test_what_runs_is_scripts_macros_and_libraries_that_only_build(self):
        targets = [{"kind": ["lib"], "name": "a"}, {"kind": ["custom-build"], "name": "b"}, {"kind": ["test"], "name": "c"}]
        kinds = lambda building: [kind for _, kind in build_code.kinds_of({"targets": targets}, building)]  # noqa: E731
        self.assertEqual(kinds(False), ["build script"])
        self.assertEqual(kinds(True), ["build script", "library"])
        self.assertEqual([kind for _, kind in build_code.kinds_of({"targets": [{"kind": ["proc-macro"]}]}, True)], ["macro"])

    def test_digest_changes_with_name_and_content_of_what_runs(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            (folder / "build.rs").write_text("fn main() {}")
            first = build_code.digest(folder, [folder / "build.rs"])
            self.assertEqual(first, build_code.digest(folder, [folder / "build.rs"] * 2))
            (folder / "other.rs").write_text("fn main() {}")
            self.assertNotEqual(first, build_code.digest(folder, [folder / "other.rs"]))
            (folder / "build.rs").write_text("fn main() { }")
            self.assertNotEqual(first, build_code.digest(folder, [folder / "build.rs"]))


def with_crates(text):
    """A program that has a section for the list of crates, and nothing else."""
    packages = zlib.compress(text)
    names = b"\0.dep-v0\0"
    start = 64 + len(packages) + len(names)
    section = lambda name, at, size: struct.pack("<IIQQQQIIQQ", name, 1, 0, 0, at, size, 0, 0, 1, 0)  # noqa: E731
    head = struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, start, 0, 64, 56, 0, 64, 2, 1)
    table = section(1, 64, len(packages)) + section(0, 64 + len(packages), len(names))
    return b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + head + packages + names + table


class Embedded(unittest.TestCase):
    def test_the_list_is_read_and_what_only_built_the_program_is_told_apart(self):
        packages = [{"name": "shop", "version": "1.0.0"}, {"name": "tool", "version": "2.0.0", "kind": "build"}]
        program = elf.Elf(with_crates(json.dumps({"packages": packages}).encode()))
        self.assertEqual(crates.embedded(program), packages)
        self.assertEqual([p["name"] for p in crates.shipped(packages)], ["shop"])

    def test_a_program_without_the_list_or_with_a_builders_folder_is_refused(self):
        said = "; ".join(hardening.of_program(with_crates(b'{"packages": []}') + b"/home/ada/src/main.rs")[1])
        self.assertIn("is not embedded", said)
        self.assertIn("/home/ada/src/main.rs", said)


if __name__ == "__main__":
    unittest.main()
