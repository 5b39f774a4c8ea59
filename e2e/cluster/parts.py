"""The programs a node is made of: Debian packages, and Go modules built once into a cache outside of the tree."""

import fcntl
import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOOLS = HERE / "tools"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "csi-provider-e2e"

# What tests run on unless told; `matrix` tells.
DEFAULT_KUBERNETES = "1.34.2"
KUBERNETES = os.environ.get("E2E_KUBERNETES") or DEFAULT_KUBERNETES
KUBERNETES_MODULE = "kubernetes" if KUBERNETES == DEFAULT_KUBERNETES else f"kubernetes-{KUBERNETES}"
DRIVERS = ("1.6.0", "1.5.6", "1.4.6")
DRIVER = os.environ.get("E2E_DRIVER") or DRIVERS[0]
DRIVER_MODULE = "sigs.k8s.io/secrets-store-csi-driver"

DEBIAN = {
    "containerd": "containerd",
    "runc": "runc",
    "containernetworking-plugins": "/usr/lib/cni/bridge",
    "buildah": "buildah",
    "busybox-static": "busybox",
    "iproute2": "ip",
    "openssl": "openssl",
    "tinyproxy-bin": "tinyproxy",
}

# Without the version kubelet and helm see v0.0.0, and charts refuse it.
LINK = {KUBERNETES_MODULE: f"-X k8s.io/component-base/version.gitVersion=v{KUBERNETES}"}
PACKAGES = {"sidecars": ["./..."], "driver-1.6.0": ["tool", "./..."]}
MODULES = ("etcd", KUBERNETES_MODULE, "sidecars", "driver-1.6.0", "driver-1.5.6", "helm")


def say(text):
    print(f"[cluster] {text}", file=sys.stderr, flush=True)


def path_with_sbin():
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/local/sbin"


def program(name):
    found = shutil.which(name, path=path_with_sbin())
    if not found:
        raise RuntimeError(f"{name} is not installed")
    return found


@functools.cache
def key(module):
    digest = hashlib.sha256()
    folders = [TOOLS / module] + ([TOOLS / "mlog"] if module.startswith("driver") else [])
    for folder in folders:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                digest.update(f"{file.relative_to(TOOLS)}\0{file.stat().st_size}\0".encode())
                digest.update(file.read_bytes())
    return f"{module}-{digest.hexdigest()[:16]}"


def folder(module):
    return CACHE / key(module)


def binary(module, name):
    return folder(module) / "bin" / name


def chart(driver):
    return folder(f"driver-{driver}") / "chart"


def debian():
    missing = [package for package, name in DEBIAN.items() if not shutil.which(name, path=path_with_sbin())]
    if missing:
        say(f"apt-get install {' '.join(missing)}")
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        quiet = {"env": env, "check": True, "stdout": subprocess.DEVNULL}
        subprocess.run(["apt-get", "update", "-qq"], **quiet)
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing], **quiet)


def go(module, *arguments, **options):
    env = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -buildvcs=false"}
    return subprocess.run(["nice", "-n", "19", "go", *arguments], cwd=TOOLS / module, env=env, check=True, **options)


def build(module):
    if not (TOOLS / module).is_dir():
        raise RuntimeError(f"there is no {TOOLS / module}; for another Kubernetes, {TOOLS}/pin-kubernetes makes it")
    done = folder(module)
    if done.exists():
        return
    CACHE.mkdir(parents=True, exist_ok=True)
    # One lock for all: two builds at once would only fight for the cores.
    with open(CACHE / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if done.exists():
            return
        say(f"building {module}, once")
        began = time.monotonic()
        with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
            fresh = Path(scratch, "fresh")
            (fresh / "bin").mkdir(parents=True)
            flags = ["-trimpath", "-ldflags", f"-s -w {LINK.get(module, '')}"]
            for package in PACKAGES.get(module, ["tool"]):
                go(module, "build", *flags, "-o", f"{fresh / 'bin'}/", package)
            if module.startswith("driver"):
                source = go(module, "list", "-m", "-f", "{{.Dir}}", DRIVER_MODULE, capture_output=True, text=True).stdout
                # The module folder is read-only, which a copy should not inherit.
                subprocess.run(["cp", "-r", f"{source.strip()}/charts/secrets-store-csi-driver", fresh / "chart"], check=True)
                subprocess.run(["chmod", "-R", "u+w", fresh / "chart"], check=True)
            fresh.rename(done)
        say(f"built {module} in {time.monotonic() - began:.0f} s")


def emulator():
    """The cloud emulator: E2E_EMULATOR, or what cargo builds from this tree."""
    if given := os.environ.get("E2E_EMULATOR"):
        return Path(given)
    command = ["cargo", "build", "--locked", "--quiet", "-p", "alibabacloud-emulator", "--message-format=json-render-diagnostics"]
    built = subprocess.run(command, cwd=HERE.parent.parent, check=True, stdout=subprocess.PIPE, text=True).stdout
    for line in built.splitlines():
        if executable := json.loads(line).get("executable"):
            return Path(executable)
    raise RuntimeError("cargo built no emulator")


@functools.cache
def release_tools():
    """What signs and pushes a release, as the Makefile has it, by name. Built once; cosign takes some minutes."""
    make = ["make", "--silent", "-C", HERE.parent.parent]
    subprocess.run([*make, "signing-tools"], check=True, stdout=sys.stderr)
    told = subprocess.run([*make, "tool-paths"], check=True, stdout=subprocess.PIPE, text=True).stdout
    return dict(word.split("=", 1) for word in told.split() if "=" in word)


def setup():
    debian()
    for module in MODULES:
        build(module)


if __name__ == "__main__":
    setup()
