"""Kubernetes objects that tests apply."""

from .images import BUSYBOX, DOUBLE

DRIVER = "secrets-store.csi.k8s.io"
PROVIDERS = "/var/run/secrets-store-csi-providers"
MOUNT = "/secrets"


def namespace(name):
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def config_map(name, data, namespace="default"):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data}


def secret(name, data, namespace="default", labels=None):
    metadata = {"name": name, "namespace": namespace, "labels": labels or {}}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}


def service_account(name, namespace="default", role=None):
    annotations = {"ack.alibabacloud.com/role-arn": role} if role else {}
    metadata = {"name": name, "namespace": namespace, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}


def secret_provider_class(name, parameters, namespace="default", provider="alibabacloud", secret_objects=None):
    spec = {"provider": provider, "parameters": parameters}
    if secret_objects:
        spec["secretObjects"] = secret_objects
    return {
        "apiVersion": "secrets-store.csi.x-k8s.io/v1",
        "kind": "SecretProviderClass",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def csi_volume(secret_provider_class, name="secrets", **attributes):
    """Extra attributes are what a pod's author may add to the volume."""
    attributes = {"secretProviderClass": secret_provider_class, **attributes}
    return {"name": name, "csi": {"driver": DRIVER, "readOnly": True, "volumeAttributes": attributes}}


def pod(name, namespace="default", volumes=(), service_account="default", labels=None, command=None, security=None):
    """A pod that sleeps, with each volume under /<its name>. It ends at once when deleted."""
    container = {
        "name": "main",
        "image": BUSYBOX,
        "command": command or ["/bin/sleep", "1000000"],
        "volumeMounts": [{"name": volume["name"], "mountPath": f"/{volume['name']}", "readOnly": True} for volume in volumes],
    }
    if security:
        container["securityContext"] = security
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels or {}},
        "spec": {
            "serviceAccountName": service_account,
            "terminationGracePeriodSeconds": 0,
            "containers": [container],
            "volumes": list(volumes),
        },
    }


def provider_double(mode, namespace):
    labels = {"app": "provider-double"}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "provider-double", "namespace": namespace},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "automountServiceAccountToken": False,
                    "containers": [
                        {
                            "name": "provider",
                            "image": DOUBLE,
                            "args": [f"--socket={PROVIDERS}/alibabacloud.sock", f"--mode={mode}"],
                            "volumeMounts": [{"name": "providers", "mountPath": PROVIDERS}],
                        }
                    ],
                    "volumes": [{"name": "providers", "hostPath": {"path": PROVIDERS, "type": "DirectoryOrCreate"}}],
                },
            },
        },
    }


def sample():
    """A pod with secrets of cloud.yaml, to look at."""
    objects = """
- objectName: app/db
  objectAlias: db.json
  jmesPath:
  - {path: password, objectAlias: db-password, filePermission: "0400"}
- objectName: app/key
  objectAlias: key
- objectName: /app/password
  objectType: oos
  objectAlias: password
"""
    return [
        service_account("app", role="acs:ram::1234567890123456:role/app"),
        secret_provider_class("shop", {"objects": objects}),
        pod("shop", volumes=[csi_volume("shop")], service_account="app"),
    ]
