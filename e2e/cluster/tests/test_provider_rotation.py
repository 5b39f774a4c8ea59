"""What running pods see of a secret that changes, and what they do not see of one that does not."""

import base64
import json
import time

import pytest

OBJECTS = """
- objectName: {secret}
  objectAlias: whole
  jmesPath:
  - {{path: username, objectAlias: username}}
  - {{path: password, objectAlias: password}}
- objectName: app/key
"""

# Reads two files of one state of the volume, for ever. Names a mix, and each state that is new.
WATCH = """
last=
while :; do
  # The driver may remove the old state between the reading of the link and the step into it.
  cd /secrets/..data 2>/dev/null || continue
  username=$(cat username 2>/dev/null) || continue
  password=$(cat password 2>/dev/null) || continue
  [ "$username $password" = "$last" ] && continue
  last="$username $password"
  [ "${username#user-}" = "${password#password-}" ] && echo "whole ${username#user-}" || echo "mixed $last"
done
"""


def account(number):
    return json.dumps({"username": f"user-{number}", "password": f"password-{number}"})


def versions(cluster, app, pod):
    """Of each object, as the driver reports it."""
    for status in cluster.get("secretproviderclasspodstatuses", namespace=app.namespace):
        if status["status"]["podName"] == pod:
            return {found["id"]: found["version"] for found in status["status"]["objects"]}
    return {}


@pytest.mark.matrix("rotate")
def test_a_rotated_secret_changes_in_the_running_pod_as_a_whole(provider, app, tell):
    secret = f"app/{app.namespace}"
    provider.ctl("put", secret, account(0))
    app.secrets("rotating", OBJECTS.format(secret=secret))
    app.start("watcher", "rotating", command=["/bin/sh", "-c", WATCH])
    assert app.read("watcher", "whole") == account(0)

    def told():
        return provider.kubectl("logs", "-n", app.namespace, "watcher").splitlines()

    seen = [versions(provider, app, "watcher")]
    for number in range(1, 4):
        provider.ctl("rotate", secret, account(number))
        began = time.monotonic()
        provider.wait_for(lambda: f"whole {number}" in told(), 60, f"rotation {number} in the pod", every=0.2)
        tell(f"rotation {number} was in the pod after {time.monotonic() - began:.1f} s")
        assert app.read("watcher", "whole") == account(number)
        provider.wait_for(lambda: versions(provider, app, "watcher") != seen[-1], 30, "a new version in the status")
        seen.append(versions(provider, app, "watcher"))
    assert told() == [f"whole {number}" for number in range(4)]
    tell(f"versions: {seen}")
    for before, after in zip(seen, seen[1:]):
        assert {name for name in after if after[name] != before[name]} == {name for name in after if name != "app_key"}


def test_an_unchanged_secret_changes_nothing_in_the_pod(provider, app):
    app.secrets("quiet", "- objectName: app/db\n- objectName: app/key")
    app.start("quiet", "quiet")

    def state():
        volume = provider.volume("quiet", namespace=app.namespace)
        files = [volume, volume / "..data", *volume.glob("*"), *(volume / "..data").glob("*")]
        status = provider.get("secretproviderclasspodstatuses", namespace=app.namespace)[0]
        return {
            "data": (volume / "..data").readlink(),
            "files": {str(file): (file.lstat().st_mtime_ns, file.lstat().st_ino) for file in files},
            "objects": status["status"]["objects"],
            "resource version": status["metadata"]["resourceVersion"],
        }

    def mounts():
        return len(provider.reads("quiet", app.namespace)) // 2

    # Kubelet asks once more while it starts a pod.
    first, before = mounts(), state()
    provider.wait_for(lambda: mounts() >= first + 3, 90, "three more mounts", every=1)
    assert state() == before


def test_most_mounts_of_a_running_pod_are_answered_from_memory(provider, app, tell):
    provider.install_provider({"refreshInterval": "5m"})
    app.secrets("quiet", "- objectName: app/db\n- objectName: app/key")
    app.start("quiet", "quiet")

    def from_memory():
        told = provider.provider_metrics().splitlines()
        return sum(int(line.split()[-1]) for line in told if 'values_answered_total{source="memory"}' in line)

    provider.wait_for(lambda: from_memory() >= 3, 90, "three mounts from memory", every=1)
    assert len(provider.reads("quiet", app.namespace)) == 2
    tell(f"{from_memory()} mounts answered from memory, 2 reads")


@pytest.mark.matrix("sync")
def test_a_secret_object_is_synced_updated_and_deleted(provider, app):
    secret = f"app/{app.namespace}"
    provider.ctl("put", secret, "before")
    data = [{"objectName": secret.replace("/", "_"), "key": "value"}]
    app.secrets("synced", f"- objectName: {secret}", [{"secretName": "copy", "type": "Opaque", "data": data}])
    app.start("user", "synced")

    def value():
        found = provider.get("secret", "copy", app.namespace)
        return found and base64.b64decode(found["data"]["value"]).decode()

    provider.wait_for(lambda: value() == "before", 30, "the Kubernetes Secret")
    provider.ctl("rotate", secret, "after")
    provider.wait_for(lambda: value() == "after", 90, "its update", every=0.5)
    assert app.read("user", secret.replace("/", "_")) == "after"
    # A Secret whose pod ends before the driver made it the Secret's owner stays for ever.
    provider.wait_for(lambda: provider.get("secret", "copy", app.namespace)["metadata"].get("ownerReferences"), 90, "its owner")
    provider.delete("pod", "user", app.namespace)
    provider.wait_for(lambda: value() is None, 90, "its end", every=0.5)
