"""The double of the official provider's chart, which installs provider and driver as one release."""

import shutil
from pathlib import Path

from . import images, parts
from .cluster import ACCOUNT, CLUSTER_ID, REGION

CHART = Path(__file__).resolve().parent / "official-chart"
# The official chart's versions, and the driver that each brings.
DRIVERS = {"0.6.0": "1.6.0", "0.5.0": "1.4.6"}


def chart(version, folder):
    """The chart of one version with the driver's chart in it, made in the folder."""
    driver = DRIVERS[version]
    made = Path(folder, f"official-{version}")
    shutil.copytree(CHART, made)
    text = (made / "Chart.yaml").read_text().replace("VERSION", version).replace("DRIVER", driver)
    (made / "Chart.yaml").write_text(text)
    shutil.copytree(parts.chart(driver), made / "charts" / "secrets-store-csi-driver")
    return made


def values():
    """A user's file for this cluster, which sets what most do. Without the image."""
    return {
        "regionId": REGION,
        "logVerbosity": 2,
        "rrsa": {"accountId": ACCOUNT, "clusterId": CLUSTER_ID},
        "linux": {"enabled": True, "healthzTimeout": "5s", "kubeletRootDir": "/var/lib/kubelet"},
        "secrets-store-csi-driver": {
            "install": True,
            "fullnameOverride": "secrets-store-csi-driver",
            "enableSecretRotation": True,
            "rotationPollInterval": "10s",
            "tokenRequests": [{"audience": "sts.aliyuncs.com"}],
        },
    }


def ours():
    """Our program in place of the official one: it delivers real secrets."""
    given = {"provider-volume": "/provider", "healthz-port": 8989, "healthz-path": "/healthz", "region": REGION}
    given |= {"account-id": ACCOUNT, "cluster-id": CLUSTER_ID, "ca-file": "/ca/ca.crt", "refresh-interval": 0}
    return {
        "linux": {"image": {"repository": images.PROVIDER, "tag": images.version()}},
        "standIn": {
            "args": [f"--{name}={value}" for name, value in given.items()],
            "health": True,
            "volumes": [{"name": "ca", "configMap": {"name": "cloud-ca"}}],
            "volumeMounts": [{"name": "ca", "mountPath": "/ca"}],
        },
    }


def double():
    """The provider double in its place: written in Go as it is, it removes the socket's path when it ends."""
    repository, _, tag = images.DOUBLE.rpartition(":")
    return {
        "linux": {"image": {"repository": repository, "tag": tag}},
        "standIn": {"args": ["--socket=/provider/alibabacloud.sock", "--mode=constant"]},
    }
