"""Pods that no driver serves: the examples of docs/sidecar.md, as an init container and as a native sidecar."""

import os
import time
from pathlib import Path

import pytest
from conftest import APP_ROLE

from cluster import images, workloads
from cluster.cluster import REPOSITORY

EXAMPLES = REPOSITORY / "examples" / "sidecar"
CLASS = """
apiVersion: secrets-store.csi.x-k8s.io/v1
kind: SecretProviderClass
metadata:
  name: checkout
spec:
  provider: alibabacloud
  parameters:
    objects: |
      - objectName: {secret}
        objectAlias: secret
      - objectName: app/key
        filePermission: "0400"
"""
# Says each HUP, as a server that reads its files again.
SERVER = "trap 'echo hup' HUP; while :; do sleep 0.2; done"


class Alone:
    """Pods of a namespace in which nothing but the sidecar mounts anything."""

    def __init__(self, cluster, namespace):
        self.cluster, self.namespace = cluster, namespace
        # The role is given by a flag: no annotation, no look-up.
        cluster.apply(workloads.service_account("app", namespace))
        self.secret = f"app/{namespace}"
        cluster.ctl("put", self.secret, "first")
        self.give_class(self.secret)

    def give_class(self, secret):
        data = {"spc.yaml": CLASS.format(secret=secret), "ca.crt": self.cluster.cloud_ca}
        self.cluster.apply(workloads.config_map("checkout-secrets", data, self.namespace))

    def pod(self, example, name, *flags):
        """The pod of an example, with this cluster's names."""
        documents = (EXAMPLES / example).read_text().split("\n---\n")
        text = next(document for document in documents if "kind: Pod" in document)
        more = "".join(f"\n        - {flag}" for flag in ("--ca-file=/class/ca.crt", "--sandbox=require", *flags))
        for old, new in [
            ("  name: checkout\n  namespace: shop", f"  name: {name}\n  namespace: {self.namespace}"),
            ("serviceAccountName: checkout", "serviceAccountName: app\n  terminationGracePeriodSeconds: 5"),
            ("acs:ram::1234567890123456:role/checkout", APP_ROLE),
            ("image: csi-secrets-store-provider-alibabacloud:", f"image: {images.PROVIDER}:"),
            ("        - --into=/secrets", f"        - --into=/secrets{more}"),
        ]:
            assert old in text, f"{example} has no {old}"
            text = text.replace(old, new)
        text = text.replace("--on-change-process=nginx", "--on-change-process=sh")
        text = text.replace("image: nginxinc/nginx-unprivileged:1.29", f'image: {images.BUSYBOX}\n      command: [/bin/sh, -c, "{SERVER}"]')
        text = text.replace("image: busybox\n      command: [sh, -c,", f"image: {images.BUSYBOX}\n      command: [/bin/sh, -c,")
        self.cluster.apply(text)

    def read(self, pod, file):
        return self.cluster.exec(pod, "/bin/cat", f"/secrets/{file}", namespace=self.namespace, container="app")

    def status(self, pod):
        """Of its init container, which is the sidecar."""
        return self.cluster.get("pod", pod, self.namespace)["status"]["initContainerStatuses"][0]

    def process(self, pod):
        """Of the sidecar, numbered as outside of the node."""
        uid = self.cluster.get("pod", pod, self.namespace)["metadata"]["uid"]
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                runs = os.readlink(folder / "exe").endswith("/csi-secrets-store-provider-alibabacloud")
                if runs and uid in (folder / "cgroup").read_text().replace("_", "-"):
                    return folder
            except OSError:
                continue
        raise AssertionError("no process")


@pytest.fixture
def alone(cloud, namespace):
    cloud.import_provider_image()
    return Alone(cloud, namespace)


def test_init_container_writes_files_and_ends(alone):
    alone.pod("init.yaml", "once")
    alone.cluster.wait_ready("once", alone.namespace)
    assert (alone.read("once", "secret"), alone.read("once", "app_key")) == ("first", "paper-falcon-19")
    listing = alone.cluster.exec("once", "/bin/ls", "-lL", "/secrets", namespace=alone.namespace, container="app")
    assert "-r--------" in listing and "-rw-r--r--" in listing, listing
    assert alone.status("once")["state"]["terminated"]["exitCode"] == 0
    mounts = alone.cluster.exec("once", "/bin/cat", "/proc/mounts", namespace=alone.namespace, container="app")
    assert any(line.split()[1:3] == ["/secrets", "tmpfs"] for line in mounts.splitlines()), mounts


def test_refusal_of_an_init_container_is_in_the_pods_status(alone, tell):
    alone.give_class("shared/greeting")
    alone.pod("init.yaml", "refused")

    def ended():
        state = alone.status("refused")
        return next((state[at]["terminated"] for at in ("state", "lastState") if "terminated" in state.get(at, {})), None)

    terminated = alone.cluster.wait_for(ended, 60, "the refusal")
    assert terminated["exitCode"] == 77, terminated
    tell(terminated["message"])
    assert terminated["message"].startswith(f"SecretProviderClass {alone.namespace}/checkout: ")
    assert "kms:GetSecretValue" in terminated["message"]
    described = alone.cluster.kubectl("describe", "pod", "-n", alone.namespace, "refused")
    assert "Forbidden.NoPermission" in described


def test_native_sidecar_rotates_signals_and_survives_an_outage(alone, tell):
    alone.pod("sidecar.yaml", "watched", "--refresh-interval=2s", "--mount-timeout=5")
    alone.cluster.wait_ready("watched", alone.namespace)
    assert alone.read("watched", "secret") == "first"
    assert alone.read("watched", "app_key") == "paper-falcon-19"

    def rotated(value, within):
        alone.cluster.ctl("rotate", alone.secret, value)
        began = time.monotonic()
        alone.cluster.wait_for(lambda: alone.read("watched", "secret") == value, within, f"{value} in the pod")
        return time.monotonic() - began

    def signals():
        return alone.cluster.kubectl("logs", "-n", alone.namespace, "watched", "-c", "app").split()

    assert signals() == []
    tell(f"a rotation was in the pod after {rotated('second', 30):.1f} s, with --refresh-interval=2s")
    alone.cluster.wait_for(lambda: signals() == ["hup"], 20, "the signal")

    alone.cluster.ctl("stop-listening")
    log = ["logs", "-n", alone.namespace, "watched", "-c", "secrets"]
    alone.cluster.wait_for(lambda: alone.cluster.kubectl(*log).count("the files stay as they are") >= 2, 60, "failed refreshes", every=1)
    assert alone.read("watched", "secret") == "second"
    conditions = alone.cluster.get("pod", "watched", alone.namespace)["status"]["conditions"]
    assert next(one["status"] for one in conditions if one["type"] == "Ready") == "True"
    alone.cluster.ctl("resume")
    tell(f"after the outage a rotation was in the pod after {rotated('third', 90):.1f} s")
    assert alone.status("watched")["restartCount"] == 0

    # A changed ConfigMap: kubelet takes up to its sync period, the sidecar what is between two rounds.
    alone.give_class("app/db")
    alone.cluster.wait_for(lambda: "copper-lantern-41" in alone.read("watched", "secret"), 120, "the new class", every=1)


def test_what_a_sidecar_costs_at_rest(alone, tell):
    alone.pod("sidecar.yaml", "resting")
    alone.cluster.wait_ready("resting", alone.namespace)
    process = alone.process("resting")

    def cpu():
        return sum(int((task / "schedstat").read_text().split()[0]) for task in (process / "task").iterdir()) / 1e9

    # The start is over, and so are idle connections and threads.
    began = time.monotonic()
    alone.cluster.wait_for(lambda: time.monotonic() - began > 30, 40, "rest", every=1)
    before, began = cpu(), time.monotonic()
    alone.cluster.wait_for(lambda: time.monotonic() - began > 90, 100, "the observation's end", every=5)
    used = (cpu() - before) / (time.monotonic() - began) * 100
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    resident, own = (int(status[name].split()[0]) / 1024 for name in ("VmRSS", "RssAnon"))
    tell(f"at rest: {resident:.1f} MiB resident, of which {own:.1f} MiB are its own; {used:.3f} % of a core")
    assert status["CapEff"].strip() == "0" * 16 and status["Uid"].split()[0] == "10001", status
    assert resident < 8
    assert used < 0.1
