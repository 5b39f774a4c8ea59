"""What mounts cost and how often they come: functions for tests and for a person."""

import itertools
import statistics
import time
from datetime import datetime

from . import workloads

PUBLISH = ('driver_name="secrets-store.csi.k8s.io"', 'method_name="/csi.v1.Node/NodePublishVolume"')


def publishes(cluster):
    """Calls of NodePublishVolume so far, and the seconds that kubelet spent in them."""
    count = cluster.kubelet_metric("csi_operations_seconds_count", *PUBLISH)
    return count, cluster.kubelet_metric("csi_operations_seconds_sum", *PUBLISH)


def failed_mounts(cluster):
    """How many of kubelet's mounts failed so far. It tries each again."""
    succeeded = cluster.kubelet_metric("csi_operations_seconds_count", *PUBLISH, 'grpc_status_code="OK"')
    return int(publishes(cluster)[0] - succeeded)


def storm(cluster, namespace, count=60, secret_provider_class=None, timeout=300, service_account="default", check=None):
    """Applies many pods at once, with a volume of the class or plain, and says when they were Running.

    check(pods) looks at the running pods before they are deleted.

    Seconds from before the apply, seen at about 0.3 s: first, median, last; with a class also the publishes.
    """
    volumes = [workloads.csi_volume(secret_provider_class)] if secret_provider_class else []
    before = publishes(cluster)
    began = time.monotonic()
    options = {"labels": {"app": "storm"}, "service_account": service_account}
    cluster.apply(*[workloads.pod(f"storm-{number}", namespace, volumes, **options) for number in range(count)])
    running = {}

    def all_running():
        now = time.monotonic() - began
        for pod in cluster.get("pods", namespace=namespace, selector="app=storm"):
            if pod["status"]["phase"] == "Running":
                running.setdefault(pod["metadata"]["name"], now)
        return len(running) == count

    cluster.wait_for(all_running, timeout, f"{count} running pods", every=0.2)
    after = publishes(cluster)
    took = sorted(running.values())
    calls, seconds = after[0] - before[0], after[1] - before[1]
    if check:
        check(cluster.get("pods", namespace=namespace, selector="app=storm"))
    cluster.kubectl("delete", "pods", "-n", namespace, "-l", "app=storm", "--timeout=120s")
    return {
        "pods": count,
        "first": round(took[0], 2),
        "median": round(statistics.median(took), 2),
        "last": round(took[-1], 2),
        "publishes": int(calls),
        "mean_publish": round(seconds / calls, 4) if calls else None,
    }


def parsed(time):
    """The double's times, or the emulator's."""
    try:
        return datetime.fromisoformat(time)
    except ValueError:
        return datetime.strptime(time, "%Y/%m/%d %H:%M:%S.%f")


def republishes(cluster, pod, minutes=5, calls=None):
    """How often an unchanged pod's volume is republished. With kubelet's default syncFrequency this is what users see.

    calls() gives the times of the provider's Mount calls of the pod so far; by default the double's log.
    """
    calls = calls or (lambda: cluster.double_calls(pod))
    began = time.monotonic()
    first = len(calls())
    cluster.wait_for(lambda: time.monotonic() - began >= minutes * 60, minutes * 60 + 30, "the observation's end", every=1)
    hours = (time.monotonic() - began) / 3600
    seen = calls()
    times = [parsed(call["time"]).timestamp() for call in seen]
    gaps = [round(after - before, 1) for before, after in itertools.pairwise(times)]
    return {"calls": len(seen) - first, "an_hour": round((len(seen) - first) / hours, 1), "gaps": gaps}
