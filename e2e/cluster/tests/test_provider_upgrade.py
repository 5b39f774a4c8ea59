"""Pods come and go while the provider is replaced, is killed, or is not there. None starts without its secret."""

import itertools
import os
import signal
import threading
import time

import pytest

from cluster.cluster import PROVIDER

DAEMONSET = f"daemonset/{PROVIDER}"
OBJECTS = "- objectName: app/db\n- objectName: app/key\n- objectName: app/certificate"
FILES = ["app_certificate", "app_db", "app_key"]
# A pod's first act is to look: what is missing then, it would miss.
LOOK = """
for file in FILES; do [ -s /secrets/$file ] || { echo incomplete; ls -lA /secrets; exec sleep 1000000; }; done
echo complete
exec sleep 1000000
""".replace("FILES", " ".join(FILES))


def first_look(cluster, pod):
    """What the pod saw when it started, from its log on the node."""
    metadata = pod["metadata"]
    folder = cluster.root / f"var/log/pods/{metadata['namespace']}_{metadata['name']}_{metadata['uid']}/main"
    return "".join(log.read_text() for log in folder.glob("*.log"))


class Load:
    """Twenty pods at any time: each is deleted as soon as it runs, and another takes its place."""

    def __init__(self, cluster, app, count=20):
        self.cluster, self.app, self.count = cluster, app, count
        self.numbers = itertools.count()
        self.created, self.took = {}, {}

    def more(self, count):
        names = [f"load-{next(self.numbers)}" for _ in range(count)]
        if names:
            load = {"labels": {"app": "load"}, "command": ["/bin/sh", "-c", LOOK]}
            self.cluster.apply(*[self.app.pod(name, "shop", **load) for name in names])
            self.created |= dict.fromkeys(names, time.monotonic())

    def turn(self, replace):
        """Checks and deletes what runs."""
        done = []
        for pod in self.cluster.get("pods", namespace=self.app.namespace, selector="app=load"):
            name = pod["metadata"]["name"]
            if pod["status"]["phase"] == "Running" and name not in self.took:
                if saw := first_look(self.cluster, pod):
                    assert saw.rstrip().endswith("complete") and "incomplete" not in saw, f"{name}: {saw}"
                    self.took[name] = time.monotonic() - self.created[name]
                    done.append(name)
        if done:
            self.cluster.kubectl("delete", "pods", "-n", self.app.namespace, "--wait=false", *done)
        if replace:
            self.more(len(done))

    def run(self, disturb, longest=180):
        """Until the disturbance is over and each pod has run."""
        self.more(self.count)
        failed = []

        def disturbance():
            try:
                disturb()
            except Exception as error:
                failed.append(error)

        thread = threading.Thread(target=disturbance)
        thread.start()
        while thread.is_alive() or len(self.took) < len(self.created):
            self.turn(replace=thread.is_alive())
            now = time.monotonic()
            stuck = [name for name, since in self.created.items() if name not in self.took and now - since > longest]
            assert not stuck, f"not started within {longest} s: {stuck}; {[self.app.failures(name) for name in stuck[:2]]}"
            time.sleep(0.2)
        thread.join()
        assert not failed, failed
        took = sorted(self.took.values())
        return f"{len(took)} pods started, in the median after {took[len(took) // 2]:.1f} s, at most {took[-1]:.1f} s"


@pytest.fixture
def load(provider, app):
    app.secrets("shop", OBJECTS)
    return Load(provider, app)


@pytest.mark.matrix("upgrade")
def test_pods_start_while_the_daemonset_rolls(provider, load, tell):
    def roll():
        for level in ("debug", "info"):
            provider.install_provider({"logLevel": level})
        provider.kubectl("rollout", "restart", DAEMONSET, "-n", "kube-system")
        provider.rollout(DAEMONSET, "kube-system")

    tell(load.run(roll))
    failures = [message for pod in load.created for message in load.app.failures(pod)]
    assert failures == []


def test_pods_start_while_the_provider_is_killed(provider, load, tell):
    killed = []

    def kill():
        for _ in range(3):
            started = len(load.took)
            found = provider.wait_for(lambda: [pid for pid in provider.provider_pids() if pid not in killed], 90, "a provider to kill")
            for pid in found:
                os.kill(pid, signal.SIGKILL)
            killed.extend(found)
            provider.wait_for(lambda: len(load.took) >= started + 5, 120, "five more pods")

    tell(load.run(kill))
    assert len(killed) == 3
    provider.rollout(DAEMONSET, "kube-system")


def started(cluster, namespace, names):
    pods = cluster.get("pods", namespace=namespace)
    return [pod["metadata"]["name"] for pod in pods if pod["metadata"]["name"] in names and pod["status"]["phase"] != "Pending"]


def wait_out(cluster, namespace, names, seconds, began):
    """None of the pods starts before the time is up."""

    def over():
        assert started(cluster, namespace, names) == []
        return time.monotonic() - began >= seconds

    cluster.wait_for(over, seconds + 60, "the end of the trouble", every=1)


def all_start_complete(cluster, namespace, names, timeout):
    for name in names:
        cluster.wait_ready(name, namespace, timeout)
        saw = first_look(cluster, cluster.get("pod", name, namespace))
        assert saw.rstrip().endswith("complete") and "incomplete" not in saw, f"{name}: {saw}"
        assert cluster.listing(name, namespace=namespace) == FILES


@pytest.mark.waiting
@pytest.mark.parametrize("seconds", [180])
def test_no_pod_starts_empty_while_the_provider_is_away(provider, app, tell, seconds):
    """Longer than the two minutes after which kubelet gives a mount up."""
    app.secrets("shop", OBJECTS)
    provider.uninstall_provider()
    names = [f"waiting-{number}" for number in range(5)]
    began = time.monotonic()
    provider.apply(*[app.pod(name, "shop", command=["/bin/sh", "-c", LOOK]) for name in names])
    wait_out(provider, app.namespace, names, seconds, began)
    failures = app.failures(names[0])
    assert failures
    for message in failures:
        tell(message)
    back = time.monotonic()
    provider.install_provider()
    all_start_complete(provider, app.namespace, names, 180)
    tell(f"{len(names)} pods that waited {seconds} s had started {time.monotonic() - back:.0f} s after the provider's installation began")


def test_the_driver_may_come_before_the_provider(provider, app):
    app.secrets("shop", OBJECTS)
    provider.uninstall_provider()
    provider.uninstall_driver()
    provider.install_driver()
    provider.apply(app.pod("early", "shop", command=["/bin/sh", "-c", LOOK]))
    provider.wait_for(lambda: "provider not found" in " ".join(app.failures("early")), 60, "a mount without a provider")
    provider.install_provider()
    all_start_complete(provider, app.namespace, ["early"], 90)


def test_the_driver_may_come_after_the_provider(provider, app):
    app.secrets("shop", OBJECTS)
    provider.uninstall_driver()
    provider.uninstall_provider()
    provider.install_provider()
    # The volume's driver is not even registered with kubelet.
    provider.apply(app.pod("early", "shop", command=["/bin/sh", "-c", LOOK]))
    provider.wait_for(lambda: app.failures("early"), 60, "a mount without a driver")
    provider.install_driver()
    all_start_complete(provider, app.namespace, ["early"], 90)


def test_the_older_driver_1_5_6_mounts_and_rotates_too(provider, app):
    secret = f"app/{app.namespace}"
    provider.ctl("put", secret, "before")
    provider.install_driver("1.5.6")
    app.secrets("shop", f"- objectName: {secret}\n  objectAlias: file")
    app.start("reader", "shop")
    assert app.read("reader", "file") == "before"
    provider.ctl("rotate", secret, "after")
    provider.wait_for(lambda: app.read("reader", "file") == "after", 60, "the rotation", every=1)
