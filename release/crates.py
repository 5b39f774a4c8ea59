"""The crates of the program: those that it says it holds, and what Cargo and the advisory database know of them."""

import json
import pathlib
import re
import subprocess
import tomllib
import zlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
NAME = "csi-secrets-store-provider-alibabacloud"
# What is published, by the architecture as images name it.
TARGETS = {"amd64": "x86_64-unknown-linux-musl", "arm64": "aarch64-unknown-linux-musl"}
CRATES_IO = "registry+https://github.com/rust-lang/crates.io-index"
# What cargo-auditable writes is small; a program that says otherwise is not one of ours.
MOST = 8 << 20


def embedded(program):
    """The packages that cargo-auditable embedded in an ELF program, with what each depends on, or None."""
    section = program.section(".dep-v0")
    if not section:
        return None
    text = zlib.decompressobj().decompress(section, MOST)
    return json.loads(text)["packages"]


def shipped(packages):
    """Those whose code is in the program, not only used to build it."""
    return [package for package in packages if package.get("kind", "runtime") == "runtime"]


def program(dist, arch):
    """Where the program for an architecture is in the folder of a release."""
    return dist / f"{NAME}-linux-{arch}"


def version():
    return tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]


def lock(path=ROOT / "Cargo.lock"):
    """The locked packages, by name and version."""
    return {(p["name"], p["version"]): p for p in tomllib.loads(path.read_text())["package"]}


def metadata(*options):
    platforms = [word for target in TARGETS.values() for word in ("--filter-platform", target)]
    command = ["cargo", "metadata", "--locked", "--format-version", "1", *platforms, *options]
    said = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return json.loads(said.stdout)


def tree(edges):
    """The crates that are used to build the program for any of its targets, as (name, version): edges as `cargo tree`
    names them."""
    targets = [word for target in TARGETS.values() for word in ("--target", target)]
    command = ["cargo", "tree", "--locked", "--package", NAME, *targets, "--edges", edges]
    said = subprocess.run([*command, "--prefix", "none", "--format", "{p}"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    words = (line.split() for line in said.stdout.splitlines() if line.strip())
    return {(w[0], w[1].removeprefix("v")) for w in words}


def purl(name, version):
    return f"pkg:cargo/{name}@{version}"


class Version:
    """A version by the rules of SemVer, for comparison."""

    def __init__(self, text):
        core, _, self.pre = text.split("+")[0].partition("-")
        numbers = [int(n) for n in core.split(".")]
        self.given = len(numbers)
        self.numbers = tuple(numbers + [0] * (3 - len(numbers)))

    def key(self):
        parts = [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in self.pre.split(".")] if self.pre else []
        return self.numbers, not self.pre, parts


def fits(version, requirement):
    """Whether a version fits a requirement of an advisory, such as '>= 1.2, < 2' or '^0.3.1'."""
    is_v = Version(version).key()
    for part in requirement.split(","):
        found = re.fullmatch(r"\s*(>=|<=|>|<|=|\^|~|)\s*([0-9][^\s]*)\s*", part)
        if not found:
            raise ValueError(f"the requirement {requirement!r} is not understood")
        sign, than = found[1], Version(found[2])
        at = than.key()
        if sign in ("^", "~", ""):
            a, b, c = than.numbers
            if sign == "~":
                above = (a, b + 1, 0) if than.given > 1 else (a + 1, 0, 0)
            elif a or than.given == 1:
                above = (a + 1, 0, 0)
            elif b or than.given == 2:
                above = (0, b + 1, 0)
            else:
                above = (0, 0, c + 1)
            holds = at <= is_v and is_v[0] < above
        else:
            holds = {">=": is_v >= at, "<=": is_v <= at, ">": is_v > at, "<": is_v < at, "=": is_v == at}[sign]
        if not holds:
            return False
    return True


def toolchain():
    """The version of Rust that rust-toolchain.toml pins."""
    return tomllib.loads((ROOT / "rust-toolchain.toml").read_text())["toolchain"]["channel"]


def advisories(database, names):
    """The advisories on crates of these names, and on Rust's std: the front matter of each file, with its title."""
    folders = [pathlib.Path(database, "crates", name) for name in sorted(names)]
    if not pathlib.Path(database, "crates").is_dir():
        raise FileNotFoundError(f"{database} is no copy of the advisory database: it has no folder crates")
    found = []
    for folder in [*folders, pathlib.Path(database, "rust", "std")]:
        for path in sorted(folder.glob("*.md")):
            matter, text = re.fullmatch(r"```toml\n(.*?)\n```\n(.*)", path.read_text(), re.DOTALL).groups()
            advisory = tomllib.loads(matter)
            title = re.search(r"^# (.*)$", text, re.MULTILINE)
            found.append({"versions": {}, "title": title[1].strip() if title else ""} | advisory)
    return [a for a in found if not a["advisory"].get("withdrawn")]


def date_of(database):
    """The date of the youngest advisory that a copy of the database has."""
    dates = (re.search(r'^date = "([0-9-]+)"', path.read_text(), re.MULTILINE) for path in pathlib.Path(database, "crates").glob("*/*.md"))
    return max(date[1] for date in dates if date)


def state(advisory, version):
    """What an advisory means for a version: 'fixed', 'unaffected' or 'affected'."""
    versions = advisory["versions"]
    if any(fits(version, requirement) for requirement in versions.get("unaffected", [])):
        return "unaffected"
    if any(fits(version, requirement) for requirement in versions.get("patched", [])):
        return "fixed"
    return "affected"
