"""From the official chart's release to this chart and back, on one node, under pods that read their secrets all the time."""

import re
import shlex
from collections import Counter

import pytest
from conftest import App

from cluster import images, measure, node, official, parts, workloads
from cluster.cluster import DEPLOY, PROVIDER, REPOSITORY

CHART = DEPLOY / "chart"
DRIVER = "secrets-store-csi-driver"
PODS = 10
# Five times a second, what a file holds or that it is not there.
READ = "while :; do cat /secrets/constant || echo missing; echo; sleep 0.2; done"
# What the provider double delivers, and what the cloud has.
CONSTANT, STORED = "constant bytes", "paper-falcon-19"
BACK = f"helm upgrade {PROVIDER} OFFICIAL_CHART"
OURS = {"linux": {"image": {"repository": images.PROVIDER}}, "caFile": {"configMap": "cloud-ca"}, "refreshInterval": "0"}


def documented(begin):
    """The words of the page's command that begins so."""
    text = (REPOSITORY / "docs" / "official-chart.md").read_text()
    blocks = "\n".join(re.findall(r"^ *```console\n(.*?)```", text, re.DOTALL | re.MULTILINE))
    joined = re.sub(r"\s*\\\n\s*", " ", blocks)
    [line] = [line.strip().removeprefix("$ ") for line in joined.splitlines() if line.strip().startswith(f"$ {begin}")]
    return shlex.split(line)


def driver_command(chart):
    """The page's command for the driver, with a chart that is here."""
    words = documented("helm upgrade --install csi-secrets-store ")[1:]
    for option in ("--repo", "--version"):
        at = words.index(option)
        del words[at : at + 2]
    here = {"secrets-store-csi-driver": str(chart), "deploy/driver-values.yaml": str(DEPLOY / "driver-values.yaml")}
    return [here.get(word, word) for word in words] + ["--no-hooks"]


class Release:
    """The release of the official chart on the node, and its pods."""

    def __init__(self, cluster, namespace, version, folder, stand_in):
        self.cluster = cluster
        self.app = App(cluster, namespace)
        self.official = official.chart(version, folder)
        # As a user's file is: what this chart makes of it is in NOTES.
        self.file = official.values()
        self.stand_in = stand_in

    def install(self):
        cluster = self.cluster
        options = ["--no-hooks", "--namespace", "kube-system", *cluster.value_flags([self.file, self.stand_in])]
        cluster.helm("install", PROVIDER, self.official, *options)
        self.rolled_out(f"daemonset/{DRIVER}")
        cluster.wait_for_driver()

    def upgrade(self, *values):
        """The one command. Returns what helm prints."""
        command = [str(CHART) if word == "deploy/chart" else word for word in documented(f"helm upgrade {PROVIDER} deploy/chart")[1:-2]]
        return self.cluster.helm(*command, *self.cluster.value_flags([self.file, OURS, *values]))

    def rollback(self):
        command = [word.replace("REVISION", "1") for word in documented("helm rollback")[1:]]
        self.cluster.helm(*command, "--no-hooks")

    def rolled_out(self, *also):
        for what in (f"daemonset/{PROVIDER}", *also):
            self.cluster.rollout(what, "kube-system")

    def container(self):
        """The name of the container that serves: the charts differ in it."""
        [pod] = [pod for pod in self.cluster.get("pods", namespace="kube-system", selector=f"app={PROVIDER}") if "deletionTimestamp" not in pod["metadata"]]
        return pod["spec"]["containers"][0]["name"]

    def driver(self):
        """What would change if the driver were deleted, made anew or restarted."""
        found = {("CSIDriver", workloads.DRIVER): self.cluster.get("csidriver", workloads.DRIVER)}
        found |= {("DaemonSet", DRIVER): self.cluster.get("daemonset", DRIVER, "kube-system")}
        found |= {("pod", pod["metadata"]["name"]): pod for pod in self.cluster.get("pods", namespace="kube-system", selector=f"app={DRIVER}")}
        assert len(found) == 3, found.keys()
        return {name: found[name]["metadata"]["uid"] for name in found}

    def start(self, name, count=1, command=READ):
        names = [f"{name}-{number}" for number in range(count)]
        self.cluster.apply(*[self.app.pod(each, "shop", command=["/bin/sh", "-c", command]) for each in names])
        return names

    def ready(self, names):
        for name in names:
            self.cluster.wait_ready(name, self.app.namespace, 120)

    def reads(self, names):
        """How often the pods' processes read what."""
        lines = Counter()
        for name in names:
            lines.update(line for line in self.cluster.kubectl("logs", "-n", self.app.namespace, name).splitlines() if line)
        return lines


def remove_all(cluster):
    """Whatever release has the provider or the driver, and what was kept of one."""
    cluster.remove_double()
    cluster.helm("uninstall", "canary", "-n", "kube-system", "--ignore-not-found")
    cluster.kubectl("label", "node", node.NODE, "secrets-provider-")
    cluster.uninstall_provider()
    for kind in ("daemonset", "serviceaccount", "clusterrole", "clusterrolebinding", "csidriver"):
        for found in cluster.get(kind, namespace="kube-system"):
            if found["metadata"].get("labels", {}).get("helm.sh/chart", "").startswith(DRIVER):
                cluster.delete(kind, found["metadata"]["name"], "kube-system")
    cluster.uninstall_driver()
    cluster.wait_gone("kube-system", f"app={PROVIDER}")


@pytest.fixture
def release(cloud, namespace, tmp_path, version):
    driver = official.DRIVERS[version]
    parts.build(f"driver-{driver}")
    remove_all(cloud)
    cloud.import_provider_image()
    cloud.import_images(images.DOUBLE, *cloud.chart_images(parts.chart(driver)))
    cloud.trust_the_cloud()
    # The older release ends as the official program does, the newer one delivers what the cloud has.
    stand_in = official.double() if version == "0.5.0" else official.ours()
    made = Release(cloud, namespace, version, tmp_path, stand_in)
    made.version, made.constant = version, CONSTANT if version == "0.5.0" else STORED
    made.install()
    # As the official provider's users write it.
    parameters = {"usePodServiceAccountToken": "true", "objects": "- objectName: app/key\n  objectAlias: constant"}
    cloud.apply(workloads.secret_provider_class("shop", parameters, namespace))
    yield made
    # Kubelet needs the driver to take the volumes away.
    cloud.kubectl("delete", "pods", "--all", "-n", namespace, "--timeout=60s")
    remove_all(cloud)


@pytest.mark.parametrize("version", official.DRIVERS)
def test_one_upgrade_replaces_the_official_provider_and_keeps_its_driver_and_back(release, tell):
    cluster = release.cluster
    running = release.start("running", PODS)
    release.ready(running)
    before, provider = release.driver(), cluster.get("daemonset", PROVIDER, "kube-system")["metadata"]["uid"]
    assert release.container() == "provider-alibabacloud-installer"

    # Before 1.6.0 the driver itself asks for all volumes again, and kubelet counts none of that.
    republished = PODS if release.version == "0.6.0" else 0

    def step(name, change, container, value):
        """Changes the release while pods start, and counts what pods saw of it, until all have the value of who serves."""
        calls, _ = measure.publishes(cluster)
        failed, seen = measure.failed_mounts(cluster), release.reads(running)
        said = change()
        starting = release.start(name, 5)
        release.rolled_out()
        release.ready(starting)
        assert release.container() == container
        assert release.driver() == before
        assert cluster.get("daemonset", PROVIDER, "kube-system")["metadata"]["uid"] == provider
        cluster.wait_for(lambda: measure.publishes(cluster)[0] >= calls + republished + 5, 120, "a mount of each volume")
        cluster.wait_for(lambda: {release.app.read(pod, "constant").strip() for pod in running} == {value}, 60, f"{value} in all pods")
        reads = release.reads(running) - seen
        calls = int(measure.publishes(cluster)[0] - calls)
        tell(f"{release.version} {name}: kubelet mounted {calls} times, {measure.failed_mounts(cluster) - failed} times in vain; 5 pods started; {dict(reads)} read by {PODS} pods")
        return said

    said = step("upgrade", release.upgrade, "provider", STORED)
    for value in ("logVerbosity", "linux.enabled", "linux.healthzTimeout", "linux.kubeletRootDir", f"{DRIVER}.enableSecretRotation", f"{DRIVER}.tokenRequests"):
        assert f"\n- {value}: " in said, said
    assert "objects of the Secrets Store CSI Driver" in said
    assert cluster.get("daemonset", PROVIDER, "kube-system")["spec"]["selector"]["matchLabels"] == {"app": PROVIDER}
    assert not cluster.get("clusterrolebinding", f"{PROVIDER}-binding")
    kept = cluster.get("csidriver", workloads.DRIVER)["metadata"]["annotations"]
    assert kept["helm.sh/resource-policy"] == "keep"

    # Once more with the same chart, for it has to stay so.
    release.upgrade({"logLevel": "debug"})
    release.rolled_out()
    assert release.driver() == before

    step("rollback", release.rollback, "provider-alibabacloud-installer", release.constant)
    assert cluster.get("clusterrolebinding", f"{PROVIDER}-binding")
    assert "helm.sh/resource-policy" not in cluster.get("csidriver", workloads.DRIVER)["metadata"]["annotations"]

    step("again", release.upgrade, "provider", STORED)
    cluster.helm("uninstall", PROVIDER, "--namespace", "kube-system", "--wait")
    assert release.driver() == before
    assert {release.app.read(pod, "constant") for pod in running} == {STORED}
    reads = release.reads(running)
    tell(f"{release.version}: {sum(reads.values())} reads, {dict(reads)}")
    assert set(reads) <= {release.constant, STORED}


@pytest.mark.parametrize("version", ["0.5.0"])
def test_the_drivers_own_release_takes_it_over_and_outlives_the_providers(release, tell):
    """From driver 1.4.6 to 1.6.0, by the commands of docs/official-chart.md."""
    cluster = release.cluster
    running = release.start("running", PODS)
    release.ready(running)
    release.upgrade()
    release.rolled_out()
    before = cluster.get("daemonset", DRIVER, "kube-system")["metadata"]["uid"]
    cluster.import_images(*cluster.chart_images(parts.chart("1.6.0"), DEPLOY / "driver-values.yaml"))
    cluster.helm(*driver_command(parts.chart("1.6.0")))
    release.rolled_out(f"daemonset/{DRIVER}")
    cluster.wait_for_driver()
    orphans = [word for word in documented("kubectl delete clusterrole") if word.startswith("secretprovider")]
    assert [name for name in orphans if cluster.get("clusterrole", name) or cluster.get("clusterrolebinding", name)] == orphans
    cluster.kubectl(*documented("kubectl delete clusterrole")[1:])
    assert "objects of the Secrets Store CSI Driver" not in release.upgrade({"logLevel": "debug"})
    release.rolled_out()
    release.ready(release.start("with-the-new-driver"))
    words = [str(release.official) if word == "OFFICIAL_CHART" else word for word in documented(f"{BACK} --namespace kube-system --values")[1:]]
    at = words.index("--values")
    words[at : at + 2] = cluster.value_flags([release.file, release.stand_in])
    cluster.helm(*words, "--no-hooks")
    release.rolled_out()
    assert release.container() == "provider-alibabacloud-installer"
    cluster.helm("uninstall", PROVIDER, "--namespace", "kube-system", "--wait")
    assert cluster.get("daemonset", DRIVER, "kube-system")["metadata"]["uid"] == before
    cluster.wait_for_driver()
    reads = release.reads(running)
    tell(f"{sum(reads.values())} reads by {PODS} pods, {dict(reads)}")
    assert set(reads) <= {release.constant, STORED}


@pytest.mark.parametrize("version", ["0.6.0"])
def test_a_canary_takes_its_nodes_from_the_official_provider_and_gives_them_back(release, tell):
    """By the commands of docs/official-chart.md, where the one node is now of the pool and now not."""
    cluster = release.cluster
    running = release.start("running", PODS)
    release.ready(running)

    def serving(selector):
        found = cluster.get("pods", namespace="kube-system", selector=selector)
        return [pod["metadata"]["name"] for pod in found if "deletionTimestamp" not in pod["metadata"]]

    relabel, keep_off, install = (documented(command) for command in ("kubectl label node", f"{BACK} --namespace kube-system --reuse-values", "helm install canary"))
    cluster.kubectl(*(node.NODE if word == "NODE..." else word for word in relabel[1:]))
    cluster.helm(*(str(release.official) if word == "OFFICIAL_CHART" else word for word in keep_off[1:]), "--no-hooks")
    cluster.wait_for(lambda: not serving(f"app={PROVIDER}"), 60, "the end of the official provider on the canary's node")
    plain = [word for word in install[1:] if word not in ("--values", "values.yaml")]
    cluster.helm(*(str(CHART) if word == "deploy/chart" else word for word in plain), *cluster.value_flags([release.file, OURS]))
    cluster.rollout(f"daemonset/canary-{PROVIDER}", "kube-system")
    assert len(serving("app.kubernetes.io/instance=canary")) == 1
    release.ready(release.start("canary"))
    cluster.helm("uninstall", "canary", "--namespace", "kube-system", "--wait")
    assert cluster.get("serviceaccount", PROVIDER, "kube-system")
    cluster.kubectl("label", "node", node.NODE, "secrets-provider-")
    cluster.wait_for(lambda: serving(f"app={PROVIDER}"), 60, "the official provider's return")
    release.rolled_out()
    release.ready(release.start("after"))
    reads = release.reads(running)
    tell(f"{sum(reads.values())} reads by {PODS} pods, {dict(reads)}")
    assert set(reads) == {STORED}
