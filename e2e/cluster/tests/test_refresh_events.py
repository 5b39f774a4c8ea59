"""What `kubectl describe pod` shows of a refresh that keeps failing, once the operator asked for Events."""

import json

import pytest

CODE = "Forbidden.NoPermission"
REASON = "SecretRefreshFailed"


@pytest.fixture
def reader(provider, app):
    """A pod that has its files, whose secret the cloud refuses from now on."""
    provider.install_provider({"events": {"enabled": True, "after": "1s"}})
    provider.ctl("put", f"app/{app.namespace}", "before")
    app.secrets("shop", f"- objectName: app/{app.namespace}\n  objectAlias: file")
    app.start("reader", "shop")
    refused = {"error": {"status": 403, "code": CODE}}
    provider.ctl("fault", json.dumps({"service": "kms", "object": f"app/{app.namespace}", "effect": refused}))
    return "reader"


def test_describe_pod_shows_the_refresh_that_keeps_failing(provider, app, reader, tell):
    def told():
        return provider.events(app.namespace, reader, REASON)

    provider.wait_for(told, 120, "an Event", every=1)
    [event] = told()
    description = provider.kubectl("describe", "pod", reader, "-n", app.namespace)
    shown = description[description.index("Events:") :]
    tell(shown)
    line = next(line for line in shown.splitlines() if REASON in line)
    assert line.split()[0] == "Warning"
    assert "csi-secrets-store-provider-alibabacloud" in line
    assert CODE in line and f"SecretProviderClass {app.namespace}/shop" in line
    assert "the pod keeps the files that it has" in line
    assert event["involvedObject"]["uid"] == provider.get("pod", reader, app.namespace)["metadata"]["uid"]
    assert event["series"]["count"] >= 3
    # The pod has what it had, and nobody but the Event says a word.
    assert app.read(reader, "file") == "before"
    assert app.failures(reader) == []


def test_provider_that_writes_events_may_do_nothing_else_with_them(provider):
    provider.install_provider({"events": {"enabled": True}})
    who = "--as=system:serviceaccount:kube-system:csi-secrets-store-provider-alibabacloud"

    def may(verb, what, *options):
        return provider.kubectl("auth", "can-i", verb, what, *options, who, "-n", "default", check=False).strip()

    assert may("create", "events.events.k8s.io") == "yes"
    for verb in ("get", "list", "delete", "patch", "update"):
        assert may(verb, "events.events.k8s.io") == "no"
    assert may("create", "serviceaccounts", "--subresource=token") == "no"
    for what in ("secrets", "pods", "nodes"):
        assert may("get", what) == "no"
        assert may("create", what) == "no"
