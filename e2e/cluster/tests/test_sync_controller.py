"""Secrets without a pod: the provider in secrets-store-sync-controller's Deployment, with deploy/'s values for its chart."""

import base64
import sys
import time
from pathlib import Path

import pytest
from conftest import APP_ROLE

from cluster import images, workloads
from cluster.cluster import ACCOUNT, CLUSTER_ID, DEPLOY, HERE

NAMESPACE = "secrets-store-sync"
CHART = HERE / "sync-controller"
# On the node: the chart has no other volume than the one for sockets.
PROVIDERS = "/var/run/secrets-store-sync-providers"
# A SecretSync is seen by looking for it, every 0.3 s, and kubectl takes its time.
SOON = 15

OBJECTS = """
- objectName: app/key
  objectAlias: key
"""


def values(cluster):
    """deploy/sync-controller-values.yaml with what it has in capitals filled in, and the CA of this cloud."""
    text = (DEPLOY / "sync-controller-values.yaml").read_text()
    for name, value in {
        "REGISTRY/csi-secrets-store-provider-alibabacloud": images.PROVIDER,
        "ACCOUNT_ID": ACCOUNT,
        "CLUSTER_ID": CLUSTER_ID,
        "      - --preset=sync\n": "      - --preset=sync\n      - --ca-file=/provider/ca.pem\n",
    }.items():
        assert name in text
        text = text.replace(name, value)
    file = cluster.state / "sync-controller-values.yaml"
    file.write_text(text)
    return file


@pytest.fixture
def controller(cloud):
    cloud.remove_double()
    cloud.install_driver()
    cloud.import_provider_image()
    cloud.apply(workloads.namespace(NAMESPACE))
    cloud.apply((CHART / "crd.yaml").read_text(), (DEPLOY / "sync-controller-rbac.yaml").read_text())
    ca = cloud.state / "emulator" / "ca" / "ca.pem"
    cloud.run("sh", "-c", f"mkdir -p {PROVIDERS} && cp {ca} {PROVIDERS}/ca.pem")
    cloud.install_chart("sync", CHART, NAMESPACE, values(cloud), {"image": images.BUSYBOX})
    cloud.rollout("deployment/secrets-store-sync-controller-manager", NAMESPACE)
    pod = cloud.get("pods", namespace=NAMESPACE, selector="app=secrets-store-sync-controller")[0]["metadata"]
    proto, socket = HERE.parents[1] / "proto" / "service.proto", f"{PROVIDERS}/alibabacloud.sock"
    arguments = [Path(proto).name, socket, pod["name"], pod["uid"], "sts.aliyuncs.com"]
    cloud.spawn(
        "sync-controller", sys.executable, HERE / "sync_controller.py", *arguments, env={"PYTHONPATH": str(proto.parent)}
    )
    yield cloud
    cloud.processes.pop("sync-controller").stop()
    cloud.helm("uninstall", "sync", "-n", NAMESPACE, "--wait")
    cloud.kubectl("delete", "namespace", NAMESPACE, "--timeout=60s")
    cloud.kubectl("delete", "crd", "secretsyncs.secret-sync.x-k8s.io")


def secret_sync(name, namespace, account="app", force=None, source="key"):
    data = [{"sourcePath": source, "targetKey": "key"}]
    spec = {
        "serviceAccountName": account,
        "secretProviderClassName": "shop",
        "secretObject": {"type": "Opaque", "data": data},
        **({"forceSynchronization": force} if force else {}),
    }
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "secret-sync.x-k8s.io/v1alpha1", "kind": "SecretSync", "metadata": metadata, "spec": spec}


def value(cluster, name, namespace):
    found = cluster.get("secret", name, namespace)
    return base64.b64decode(found["data"]["key"]).decode() if found else None


def condition(cluster, name, namespace):
    found = cluster.get("secretsync", name, namespace)
    return next(iter(found.get("status", {}).get("conditions", [])), None)


def logged(cluster):
    return cluster.pod_logs("app=secrets-store-sync-controller", NAMESPACE, container="provider-alibabacloud")


def test_a_secret_is_made_rotated_at_once_and_refused_by_name(controller, namespace, tell):
    controller.apply(
        workloads.service_account("app", namespace, APP_ROLE),
        workloads.service_account("nobody", namespace),
        workloads.secret_provider_class("shop", {"objects": OBJECTS}, namespace),
    )
    controller.ctl("clear")
    began = time.monotonic()
    controller.apply(secret_sync("made", namespace))
    controller.wait_for(lambda: value(controller, "made", namespace) == "paper-falcon-19", SOON, "the Secret")
    tell(f"Secret {time.monotonic() - began:.1f} s after its SecretSync")
    assert controller.get("secret", "made", namespace)["metadata"]["ownerReferences"][0]["kind"] == "SecretSync"
    # Who read it: the SecretSync's ServiceAccount, in the session of the controller's pod.
    reads = controller.requests(action="GetSecretValue", status=200)
    assert {request["principal"]["arn"] for request in reads} == {APP_ROLE}
    sessions = {request["principal"]["session_name"] for request in reads}
    tell(f"session {', '.join(sessions)}")
    # Of 64 characters, and the controller's pod has a long name.
    assert all(session.startswith(namespace[:10]) for session in sessions)

    controller.ctl("rotate", "app/key", "paper-falcon-20")
    began = time.monotonic()
    controller.apply(secret_sync("made", namespace, force="now"))
    controller.wait_for(lambda: value(controller, "made", namespace) == "paper-falcon-20", SOON, "the rotated Secret")
    tell(f"rotated {time.monotonic() - began:.1f} s after forceSynchronization")

    controller.apply(secret_sync("refused", namespace, account="nobody"))
    told = controller.wait_for(lambda: condition(controller, "refused", namespace), SOON, "a refusal")
    tell(f"refused: {told['message']}")
    assert told["status"] == "False"
    assert f"ServiceAccount {namespace}/nobody" in told["message"] and "has no RAM role" in told["message"]
    assert value(controller, "refused", namespace) is None
    # The other goes on.
    controller.apply(secret_sync("made", namespace, force="again"))
    controller.wait_for(lambda: len(controller.requests(action="GetSecretValue", status=200)) >= 3, SOON, "another read")
    lines = logged(controller)
    assert 'via="sync"' in lines and "paper-falcon" not in lines


def test_a_source_path_that_the_controller_does_not_take_is_refused_by_the_api_server(controller, namespace):
    for source in ("a_b", "x.y", "db/password"):
        with pytest.raises(Exception, match="sourcePath"):
            controller.apply(secret_sync("odd", namespace, source=source))
