"""What pods see while the cloud is away, hangs or throttles."""

import json
import time

import pytest
from test_provider_upgrade import started, wait_out

pytestmark = pytest.mark.waiting


def files(cluster, namespace, pod):
    volume = cluster.volume(pod, namespace=namespace)
    return {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in volume.iterdir() if file.is_file()}


@pytest.mark.parametrize("seconds", [120])
def test_pods_wait_for_the_end_of_an_outage_and_running_ones_keep_their_files(provider, app, tell, seconds):
    app.secrets("shop", "- objectName: app/db\n- objectName: app/key")
    app.start("running", "shop")
    before = files(provider, app.namespace, "running")
    provider.ctl("stop-listening")
    began = time.monotonic()
    names = [f"waiting-{number}" for number in range(5)]
    provider.apply(*[app.pod(name, "shop") for name in names])
    wait_out(provider, app.namespace, names, seconds, began)
    for name in names:
        told = app.failures(name)
        assert told, f"no event tells why {name} waits"
        assert any("sts-vpc.cn-hangzhou.aliyuncs.com" in message and "connect" in message for message in told), told
    tell(told[0])
    assert app.read("running", "app_key") == "paper-falcon-19"
    assert files(provider, app.namespace, "running") == before

    provider.ctl("resume")
    back = time.monotonic()
    for name in names:
        provider.wait_ready(name, app.namespace, 180)
        assert app.read(name, "app_key") == "paper-falcon-19"
    tell(f"5 pods that waited {seconds} s had started {time.monotonic() - back:.0f} s after the cloud's return")
    assert files(provider, app.namespace, "running") == before


def test_no_pod_starts_empty_while_the_cloud_hangs_or_throttles(provider, app, tell):
    """Until each mount has used up its time, or its attempts, and failed."""
    throttling = {"error": {"status": 429, "code": "Rejected.Throttling"}}
    effects = {"hangs": "hang", "throttled": throttling}
    for name, effect in effects.items():
        provider.ctl("fault", json.dumps({"service": "kms", "object": f"app/{name}", "effect": effect}))
        app.secrets(name, f"- objectName: app/{name}\n- objectName: app/key")
        provider.apply(app.pod(name, name))

    def each_failed():
        assert started(provider, app.namespace, effects) == []
        return all(app.failures(name) for name in effects)

    provider.wait_for(each_failed, 180, "a failed mount of each", every=1)
    for name in effects:
        tell(app.failures(name)[0])
    provider.ctl("clear-faults")
    for name in effects:
        provider.wait_ready(name, app.namespace, 180)
        assert provider.listing(name, namespace=app.namespace) == sorted([f"app_{name}", "app_key"])
        assert app.read(name, f"app_{name}") == "told-in-the-end"
