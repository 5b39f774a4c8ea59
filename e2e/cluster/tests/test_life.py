import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cluster import Cluster, Failed, node
from cluster.cluster import STATES

E2E = Path(__file__).resolve().parents[2]
START = """
import sys, signal
sys.path.insert(0, sys.argv[1])
from cluster import Cluster
cluster = Cluster(sys.argv[2])
cluster.start()
print("ready", flush=True)
signal.pause()
"""


def started(name):
    command = [sys.executable, "-c", START, str(E2E), name]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    return process


def processes_of(name):
    """Pids whose command line names the node's state folder."""
    state = str(STATES / name).encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if state in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def nothing_is_left(name):
    return not processes_of(name) and not (STATES / name).exists() and name not in node.leftovers()


def test_a_node_whose_caller_is_killed_leaves_nothing(cluster):
    caller = started("killed")
    assert processes_of("killed")
    os.kill(caller.pid, signal.SIGKILL)
    caller.wait()
    cluster.wait_for(lambda: nothing_is_left("killed"), 30, "the end of the node")


def test_a_node_ends_when_its_time_is_up(cluster):
    Cluster("brief", lifetime=2).make_node()
    assert processes_of("brief")
    cluster.wait_for(lambda: nothing_is_left("brief"), 15, "the end of the node")


def test_what_a_killed_supervisor_leaves_is_swept_at_the_next_start(cluster):
    caller = started("orphan")
    supervisor = Cluster.attach("orphan").supervisor
    os.kill(supervisor, signal.SIGKILL)
    cluster.wait_for(lambda: not processes_of("orphan"), 30, "the end of the node's processes")
    assert "orphan" in node.leftovers()
    caller.kill()
    caller.wait()
    # The lock is the last thing to go.
    cluster.wait_for(lambda: node.sweep(STATES) or nothing_is_left("orphan"), 10, "the sweep")


def test_two_nodes_of_one_name_are_refused(cluster):
    with pytest.raises(Failed, match="is running"):
        Cluster(cluster.name).start()
