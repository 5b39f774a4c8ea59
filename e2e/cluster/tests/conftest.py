import re
import sys
import zlib
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from cluster import Cluster, node, workloads
from cluster.cluster import ACCOUNT

TOLD = pytest.StashKey[dict]()
APP_ROLE = f"acs:ram::{ACCOUNT}:role/app"


@pytest.fixture(scope="session")
def cluster():
    with Cluster() as running:
        yield running


@pytest.fixture
def namespace(cluster, request):
    # Short, for the names of the cloud's sessions have 64 characters for namespace, account and pod.
    name = re.sub("[^a-z0-9]+", "-", request.node.name.removeprefix("test_"))
    with cluster.namespace(f"{name[:30].strip('-')}-{zlib.crc32(name.encode()):08x}") as made:
        yield made


@pytest.fixture
def reader(cluster, namespace):
    """Makes a pod whose volume the double fills, and waits until it is Ready."""

    def made(name="reader"):
        cluster.apply(workloads.secret_provider_class("any", {"objects": "any"}, namespace))
        cluster.apply(workloads.pod(name, namespace, [workloads.csi_volume("any")]))
        cluster.wait_ready(name, namespace)
        return name

    return made


@pytest.fixture(scope="session")
def emulator(cluster):
    cluster.start_emulator()
    return cluster


@pytest.fixture
def cloud(emulator):
    """The cloud of cloud.yaml, in good order. What a test changes in a secret stays changed."""
    yield emulator
    emulator.ctl("resume")
    emulator.ctl("clear-faults")


@pytest.fixture
def provider(cloud):
    """The driver, 1.6.0 unless E2E_DRIVER names another, and our provider, as deploy/README.md installs them."""
    cloud.remove_double()
    cloud.install_driver()
    cloud.install_provider()
    return cloud


class App:
    """Pods of the ServiceAccount app, which may read app/* in the cloud."""

    def __init__(self, cluster, namespace):
        self.cluster, self.namespace = cluster, namespace
        cluster.apply(workloads.service_account("app", namespace, APP_ROLE))

    def secrets(self, name, objects, secret_objects=None):
        parameters = {"objects": objects}
        self.cluster.apply(workloads.secret_provider_class(name, parameters, self.namespace, secret_objects=secret_objects))

    def pod(self, name, secrets, **options):
        options = {"service_account": "app", **options}
        return workloads.pod(name, self.namespace, [workloads.csi_volume(secrets)], **options)

    def start(self, name, secrets, timeout=60, **options):
        self.cluster.apply(self.pod(name, secrets, **options))
        self.cluster.wait_ready(name, self.namespace, timeout)

    def read(self, pod, file):
        """As text, what the pod itself reads."""
        return self.cluster.read(pod, f"/secrets/{file}", self.namespace).decode()

    def failures(self, pod):
        """What kubelet's events say of mounts that failed."""
        return [event["message"] for event in self.failure_events(pod)]

    def failure_events(self, pod):
        """Without those of the volume that every pod has: its ConfigMap can be late in a new namespace."""
        events = self.cluster.events(self.namespace, pod, "FailedMount")
        return [event for event in events if 'volume "kube-api-access-' not in event["message"]]


@pytest.fixture
def app(provider, namespace):
    return App(provider, namespace)


@pytest.fixture
def tell(request):
    """Says something in the summary, also of a test that passes."""
    told = request.config.stash.setdefault(TOLD, {}).setdefault(request.node.originalname, [])
    return lambda text: told.append(str(text))


def pytest_collection_modifyitems(items):
    for item in items:
        if mark := item.get_closest_marker("matrix"):
            item.user_properties.append(("line", mark.args[0]))


@pytest.fixture(autouse=True)
def ran_on(request):
    """What a line of the matrix ran on, as the node tells, goes into the report."""
    marked = request.node.get_closest_marker("matrix")
    cluster = request.getfixturevalue("cluster") if marked else None
    yield
    if marked:
        kubelet = cluster.get("node", node.NODE)["status"]["nodeInfo"]["kubeletVersion"]
        [driver] = cluster.get("daemonsets", namespace="kube-system", selector="app=secrets-store-csi-driver")
        [image] = [c["image"] for c in driver["spec"]["template"]["spec"]["containers"] if c["name"] == "secrets-store"]
        request.node.user_properties.append(("ran on", f"{kubelet}/{image.rpartition(':')[2]}"))


@pytest.fixture
def shown(request, tell):
    """Says what a person sees, for the tables of docs/versions.md."""

    def told(what, text):
        tell(f"{what}: {text}")
        request.node.user_properties.append(("shown", f"{what}: {text}"))

    return told


def pytest_terminal_summary(terminalreporter, config):
    if seen := config.stash.get(TOLD, {}):
        terminalreporter.section("seen")
        for name, told in seen.items():
            terminalreporter.write_line("\n".join([f"{name}:", *(f"  {text}" for text in told)]))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed and "cluster" in item.funcargs:
        folder = item.funcargs["cluster"].collect()
        report.sections.append(("cluster", f"logs are in {folder}"))
    return report
