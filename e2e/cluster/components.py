"""Configuration and command lines of what runs on the node."""

import json
import sys

from . import parts
from .dns import ORDINARY
from .images import PAUSE
from .node import ADDRESS, API, DNS, NODE, PODS, SERVICES

ISSUER = "https://kubernetes.default.svc"
CONTAINERD = "/run/containerd/containerd.sock"
ETCD = "http://127.0.0.1:2379"


def kubernetes(name):
    return str(parts.binary(parts.KUBERNETES_MODULE, name))


def etcd(state):
    return [
        str(parts.folder("etcd") / "bin" / "server"),
        f"--data-dir={state}/etcd",
        f"--listen-client-urls={ETCD}",
        f"--advertise-client-urls={ETCD}",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def dns_mode(state):
    """The file that holds the DNS server's mode."""
    return state / "dns-mode"


def dns(state):
    dns_mode(state).write_text(ORDINARY)
    return [sys.executable, str(parts.HERE / "dns.py"), str(dns_mode(state))]


def containerd(state):
    config = f"""
version = 2
root = "{state}/containerd"
state = "/run/containerd"
# The first would make /opt/containerd on the machine.
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]

[grpc]
address = "{CONTAINERD}"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE}"
# Without it runc fails where root may not lower the OOM score.
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{state}/cni"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
"""
    network = {
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "pods0",
                "isGateway": True,
                "ipMasq": False,
                "hairpinMode": True,
                "ipam": {
                    "type": "host-local",
                    "dataDir": "/run/cni",
                    "ranges": [[{"subnet": PODS}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            }
        ],
    }
    (state / "cni").mkdir()
    (state / "cni" / "10-pods.conflist").write_text(json.dumps(network, indent=1))
    file = state / "containerd.toml"
    file.write_text(config)
    return [parts.program("containerd"), "--config", str(file)]


def apiserver(state):
    pki = state / "pki"
    return [
        kubernetes("kube-apiserver"),
        f"--etcd-servers={ETCD}",
        # Pods reach the service address through the bridge's route: no kube-proxy.
        f"--bind-address={API}",
        "--secure-port=443",
        f"--service-cluster-ip-range={SERVICES}",
        f"--cert-dir={state}",
        f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
        f"--client-ca-file={pki}/ca.crt",
        f"--kubelet-certificate-authority={pki}/ca.crt",
        f"--kubelet-client-certificate={pki}/apiserver-kubelet.crt",
        f"--kubelet-client-key={pki}/apiserver-kubelet.key",
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-account-issuer={ISSUER}",
        f"--service-account-key-file={pki}/service-account.key",
        f"--service-account-signing-key-file={pki}/service-account.key",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
    ]


def controller_manager(state):
    return [
        kubernetes("kube-controller-manager"),
        f"--kubeconfig={state}/pki/controller-manager.kubeconfig",
        f"--root-ca-file={state}/pki/ca.crt",
        f"--service-account-private-key-file={state}/pki/service-account.key",
        f"--cert-dir={state}",
        f"--flex-volume-plugin-dir={state}/volume-plugins",
        "--use-service-account-credentials",
        # At the default of 20 requests a second the default service account comes four seconds later.
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
    ]


def scheduler(state):
    return [
        kubernetes("kube-scheduler"),
        f"--kubeconfig={state}/pki/scheduler.kubeconfig",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
    ]


def kubelet(state, sync_frequency, cgroup_root):
    config = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{state}/pki/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{state}/pki/kubelet-server.crt",
        "tlsPrivateKeyFile": f"{state}/pki/kubelet-server.key",
        "address": ADDRESS,
        "containerRuntimeEndpoint": f"unix://{CONTAINERD}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cgroup_root,
        "clusterDNS": [DNS],
        "clusterDomain": "cluster.local",
        "failCgroupV1": False,
        "failSwapOn": False,
        "evictionHard": {"memory.available": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%", "imagefs.available": "0%"},
        "imageGCHighThresholdPercent": 100,
        "maxPods": 110,
        "volumePluginDir": f"{state}/volume-plugins",
    }
    if sync_frequency:
        config["syncFrequency"] = sync_frequency
    file = state / "kubelet.json"
    file.write_text(json.dumps(config, indent=1))
    return [
        kubernetes("kubelet"),
        f"--config={file}",
        f"--kubeconfig={state}/pki/kubelet.kubeconfig",
        f"--cert-dir={state}",
        f"--hostname-override={NODE}",
        f"--node-ip={ADDRESS}",
        "--root-dir=/var/lib/kubelet",
    ]
