"""What a person sees of a refresh that fails, and that the pod keeps its files and gets the next value."""

import json

import pytest

from cluster import measure

# Minutes of waiting, and the files themselves are what test_provider_outage.py is about: not in every run.
pytestmark = [pytest.mark.matrix("failed refresh"), pytest.mark.measurement]
CODE = "Forbidden.NoPermission"


def warnings(cluster, namespace, pod, cause):
    """What `kubectl describe pod` warns of: who says it, and whether the cause is in it."""
    found = set()
    for event in cluster.events(namespace, pod):
        if event["type"] == "Warning":
            who = event.get("reportingComponent") or event["source"]["component"]
            found.add(f"`{event['reason']}` from {who}, {'with' if cause in event['message'] else 'without'} the cause")
    return "; ".join(sorted(found)) or "nothing"


@pytest.fixture
def reader(provider, app):
    """A pod that has read the value before."""
    secret = f"app/{app.namespace}"
    provider.ctl("put", secret, "before")
    app.secrets("shop", f"- objectName: {secret}\n  objectAlias: file")
    app.start("reader", "shop")
    assert app.read("reader", "file") == "before"
    return secret


def refreshed(provider, app, secret):
    """The next value reaches the pod."""
    provider.ctl("rotate", secret, "after")
    provider.wait_for(lambda: app.read("reader", "file") == "after", 90, "the value after the failures", every=1)


def test_a_refresh_that_the_cloud_refuses_leaves_the_pod_its_files(provider, app, reader, shown):
    provider.ctl("fault", json.dumps({"service": "kms", "object": reader, "effect": {"error": {"status": 403, "code": CODE}}}))

    def refused():
        return [request for request in provider.reads("reader", app.namespace) if request["status"] == 403]

    provider.wait_for(lambda: len(refused()) >= 3, 120, "three refused refreshes", every=1)
    assert app.read("reader", "file") == "before"
    shown("refused", warnings(provider, app.namespace, "reader", CODE))
    provider.ctl("clear-faults")
    refreshed(provider, app, reader)


def test_a_class_that_is_gone_leaves_the_pod_its_files(provider, app, reader, shown):
    """Of this driver 1.6.0 tells kubelet; what a provider says it keeps to itself."""

    def missed():
        # Kubelet counts those of 1.6.0; older drivers log their own.
        logs = provider.pod_logs("app=secrets-store-csi-driver", "kube-system")
        return measure.failed_mounts(provider) + logs.count(f"failed to get secret provider class {app.namespace}/shop")

    before = missed()
    provider.delete("secretproviderclass", "shop", app.namespace)
    provider.wait_for(lambda: missed() >= before + 3, 120, "three refreshes without a class", every=1)
    assert app.read("reader", "file") == "before"
    shown("class", warnings(provider, app.namespace, "reader", '"shop" not found'))
    app.secrets("shop", f"- objectName: {reader}\n  objectAlias: file")
    refreshed(provider, app, reader)
