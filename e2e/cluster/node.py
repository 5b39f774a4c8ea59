"""The node as an operating system sees it: namespaces of its own, mounts, addresses, and an end.

Two processes run this file. The supervisor stays outside: it ends the node when its caller ends, when it is told
to, or when the time is up, and removes what the node leaves. The init is process 1 inside: when it goes, the kernel
takes every process of the node with it.
"""

import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

NODE = "node1"
API = "203.0.113.1"
CLOUD = "192.0.2.10"
DNS = "192.0.2.53"
# A company's domain, as the DHCP servers of many networks give one to nodes, and kubelet to pods.
SEARCH = "corp.example"
METADATA = "100.100.100.200"
ADDRESS = "192.0.2.1"
PODS = "198.51.100.0/24"
SERVICES = "203.0.113.0/24"

# What kubelet would otherwise write to the machine's own kernel settings.
SYSCTLS = {
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1000000,
    "kernel/keys/root_maxbytes": 25000000,
}

CGROUPS = Path("/sys/fs/cgroup")
PREFIX = "csi-e2e-"


def cgroup_hierarchies():
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        if fields[fields.index("-") + 1] in ("cgroup", "cgroup2"):
            found.append(Path(fields[4]))
    return found


def make_cgroups(name):
    for hierarchy in cgroup_hierarchies():
        folder = hierarchy / f"{PREFIX}{name}"
        folder.mkdir(exist_ok=True)
        for file in ("cpuset.cpus", "cpuset.mems"):
            if (folder / file).exists() and (hierarchy / file).exists():
                (folder / file).write_text((hierarchy / file).read_text())


def remove_cgroups(name):
    """Also those which a killed node left: rmdir refuses any with a process in it."""
    for hierarchy in cgroup_hierarchies():
        top = hierarchy / f"{PREFIX}{name}"
        for folder, _, _ in os.walk(top, topdown=False):
            for _ in range(50):
                try:
                    os.rmdir(folder)
                    break
                except FileNotFoundError:
                    break
                except OSError:
                    # The kernel needs a moment after the last process of a cgroup.
                    time.sleep(0.02)


def leftovers():
    return {folder.name.removeprefix(PREFIX) for hierarchy in cgroup_hierarchies() for folder in hierarchy.glob(f"{PREFIX}*")}


def sweep(states):
    """Removes what dead nodes left. A live one holds the lock on its own name."""
    names = {file.stem for file in states.glob("*.lock")} | {file.name for file in states.iterdir() if file.is_dir()}
    for name in names | leftovers():
        with open(states / f"{name}.lock", "a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            clean(states / name)


def clean(state):
    remove_cgroups(state.name)
    shutil.rmtree(state, ignore_errors=True)
    state.with_name(f"{state.name}.lock").unlink(missing_ok=True)


def run(command):
    subprocess.run(command.split(), check=True, stdin=subprocess.DEVNULL)


def overlay(path, state):
    upper, work = (state / "overlay" / f"{path.strip('/').replace('/', '-')}-{part}" for part in ("upper", "work"))
    upper.mkdir(parents=True)
    work.mkdir()
    run(f"mount -t overlay overlay -o lowerdir={path},upperdir={upper},workdir={work} {path}")


def init(state):
    """Inside: everything written from here on to /etc, /run, /var/lib and /var/log stays with the node."""
    run("mount --make-rshared /")
    for path in ("/etc", "/var/lib", "/var/log"):
        overlay(path, state)
    run("mount -t tmpfs tmpfs /run")
    for path in ("/run/containerd", "/run/lock", "/var/lib/kubelet"):
        Path(path).mkdir(exist_ok=True)
    (state / "kubelet").mkdir()
    run(f"mount --bind {state}/kubelet /var/lib/kubelet")
    for name, value in SYSCTLS.items():
        file = state / "sysctl" / name.replace("/", ".")
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"{value}\n")
        if Path("/proc/sys", name).exists():
            run(f"mount --bind {file} /proc/sys/{name}")
    Path("/etc/resolv.conf").unlink(missing_ok=True)
    Path("/etc/resolv.conf").write_text(f"nameserver {DNS}\nsearch {SEARCH}\n")
    Path("/etc/hosts").write_text(f"127.0.0.1 localhost\n{ADDRESS} {NODE}\n")
    run(f"hostname {NODE}")

    run("ip link set lo up")
    for address in (API, CLOUD, DNS, METADATA):
        run(f"ip address add {address}/32 dev lo")
    run("ip link add node0 type veth peer name peer0")
    run("ip link set peer0 up")
    run("ip link set node0 up")
    run(f"ip address add {ADDRESS}/24 dev node0")
    run("ip route add default dev node0")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")

    # Orphans of the whole node end up here, and nobody asks how they ended.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    (state / "ready").touch()
    sys.stdin.read()


def supervise(state, lock, lifetime, attached):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(0))
    child = inside = None
    try:
        make_cgroups(state.name)
        command = "unshare -n -m -p -i -u -f --kill-child --mount-proc".split()
        command += [sys.executable, __file__, "init", str(state)]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=(lock,), start_new_session=True)
        ended = os.pidfd_open(child.pid)
        while not (state / "ready").exists():
            if select.select([ended], [], [], 0.02)[0]:
                sys.exit("the node's init ended at once")
        number = int(Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text())
        inside = os.pidfd_open(number)
        fresh = state / "node.json.new"
        fresh.write_text(json.dumps({"supervisor": os.getpid(), "init": number}))
        fresh.rename(state / "node.json")
        select.select([ended] + ([sys.stdin] if attached else []), [], [], lifetime)
    finally:
        if child:
            child.kill()
            child.wait()
        if inside:
            select.select([inside], [], [], 10)
        clean(state)


if __name__ == "__main__":
    role, folder = sys.argv[1], Path(sys.argv[2])
    if role == "init":
        init(folder)
    else:
        supervise(folder, lock=int(sys.argv[3]), lifetime=float(sys.argv[4]), attached=sys.argv[5] == "attached")
