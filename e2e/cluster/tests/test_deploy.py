"""What a user installs: the chart, the manifests, the image, and the lines of deploy/README.md."""

import gzip
import io
import json
import os
import re
import shlex
import shutil
import tarfile
from pathlib import Path

import pytest
from conftest import App
from test_chart_options import BASE, OPTIONS, merged, rendered

from cluster import images, node, parts, workloads
from cluster.cluster import ACCOUNT, CLUSTER_ID, DEPLOY, PROVIDER

CHART = DEPLOY / "chart"


def test_helm_finds_nothing_wrong_with_the_chart(cluster):
    assert "0 chart(s) failed" in cluster.helm("lint", CHART, "--strict")


def test_the_manifests_are_what_the_chart_makes(cluster):
    cluster.run("env", f"HELM={parts.binary('helm', 'helm')}", DEPLOY / "render", "--check", network_only=True)


def test_the_kustomization_of_the_readme_is_taken_by_the_api_server(cluster, tmp_path):
    text = (DEPLOY / "README.md").read_text()
    [example] = [block for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if "patches:" in block]
    (tmp_path / "own").mkdir()
    shutil.copytree(DEPLOY, tmp_path / "deploy")
    (tmp_path / "own" / "kustomization.yaml").write_text(example.replace("REGISTRY", "localhost"))
    made = cluster.kubectl("kustomize", tmp_path / "own")
    assert "_ID" not in made
    for said in ("- --account-id=1234567890123456", "- --cluster-id=c0123456789abcdef", "- --region=cn-hangzhou", f"image: localhost/{PROVIDER}:{images.version()}"):
        assert f" {said}\n" in made, said
    # All of manifests/ is in it.
    objects = "".join(file.read_text() for file in (DEPLOY / "manifests").iterdir())
    assert made.count("\nkind: ") + made.startswith("kind: ") == len(re.findall("^kind: ", objects, re.MULTILINE))
    cluster.kubectl("apply", "--dry-run=server", "-f", "-", input=made)


def test_an_api_server_takes_every_option_of_the_chart(cluster):
    """All together but for those that need the Prometheus Operator or rule each other out."""
    apart = ("linux.hostUsers", "proxy.port", "proxy.secret")
    operators = ("serviceMonitor", "prometheusRule.runbooks")
    together = merged(*(given for option, (given, _) in OPTIONS.items() if option not in (*operators, *apart)))
    for values in (together, *(OPTIONS[option][0] for option in apart)):
        done = rendered(merged(BASE, values))
        assert done.returncode == 0, done.stderr
        cluster.kubectl("apply", "--dry-run=server", "-f", "-", input=done.stdout)


@pytest.mark.parametrize(
    "wrong, said",
    [
        ("identity.allowed={pod,root}", "identity/allowed"),
        ("rrsa.accountId=1234567890123456", "accountId"),
        ("linux.hostNetwrok=true", "hostNetwrok"),
        ("linux.livenessProbe.httpGet.path=/x", "httpGet"),
        ("regoinId=cn-hangzhou", "regoinId"),
    ],
)
def test_the_schema_refuses_a_wrong_value_by_its_name(cluster, wrong, said):
    with pytest.raises(Exception) as refused:
        cluster.helm("template", "x", CHART, "--set", wrong, "--kube-version", parts.KUBERNETES)
    assert said in str(refused.value)


def test_the_image_is_one_program_and_ca_roots(cluster, tell):
    cluster.import_provider_image()
    files, size = {}, 0
    with tarfile.open(cluster.provider_image) as archive:
        blob = lambda digest: archive.extractfile(f"blobs/{digest.replace(':', '/')}").read()  # noqa: E731
        index = json.load(archive.extractfile("index.json"))
        manifest = json.loads(blob(index["manifests"][0]["digest"]))
        for layer in manifest["layers"]:
            content = blob(layer["digest"])
            content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
            size += len(content)
            with tarfile.open(fileobj=io.BytesIO(content)) as unpacked:
                files |= {entry.name: entry.size for entry in unpacked if entry.isfile()}
    tell(f"{size / 1e6:.1f} MB unpacked: {files}")
    assert sorted(files) == ["csi-secrets-store-provider-alibabacloud", "etc/ssl/certs/ca-certificates.crt"]
    assert size < 15e6


def test_nodes_of_both_architectures_get_a_provider_and_others_none(provider):
    def made(name, arch):
        labels = {"kubernetes.io/arch": arch, "kubernetes.io/os": "linux", "kubernetes.io/hostname": name}
        room = {"cpu": "1", "memory": "1Gi", "pods": "9"}
        about = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}
        return about | {"status": {"capacity": room, "allocatable": room}}

    def nodes():
        pods = provider.get("pods", namespace="kube-system", selector=f"app.kubernetes.io/name={PROVIDER}")
        return {pod["spec"].get("nodeName") for pod in pods} - {None}

    here = nodes()
    # Nobody runs them: what counts is where the pods are sent.
    provider.apply(made("other", "s390x"), made("yitian", "arm64"))
    try:
        provider.wait_for(lambda: nodes() == {*here, "yitian"}, 60, "a pod for the node with an ARM processor")
        wanted = provider.get("daemonset", PROVIDER, "kube-system")["status"]["desiredNumberScheduled"]
        assert wanted == len(here) + 1
    finally:
        provider.kubectl("delete", "node", "other", "yitian")
        left = ["-n", "kube-system", "--field-selector=spec.nodeName=yitian"]
        provider.kubectl("delete", "pods", *left, "--force", "--grace-period=0")
        provider.wait_for(lambda: not provider.kubectl("get", "pods", *left, "-o", "name"), 60, "the end of its pods")


def test_startup_taint_goes_once_the_provider_serves_and_the_policy_lets_it_do_nothing_else(cloud, namespace, tell):
    key, stays = "secrets-store.csi.k8s.io/agent-not-ready", "example.com/stays"
    account, app = f"system:serviceaccount:kube-system:{PROVIDER}", App(cloud, namespace)
    cloud.remove_double()
    cloud.uninstall_provider()
    cloud.install_driver()

    def taints():
        return [taint["key"] for taint in cloud.get("node", node.NODE)["spec"].get("taints", [])]

    def refused(*change):
        """What the API server says to the provider's ServiceAccount, with the token of its pod or without one."""
        said = cloud.run(*map(str, change), check=False, network_only=True)
        assert said.returncode, change
        return said.stderr

    policy = (DEPLOY / "startup-taint-policy.yaml").read_text()
    cloud.apply(policy)
    cloud.kubectl("taint", "node", node.NODE, f"{key}=:NoSchedule", f"{stays}=:PreferNoSchedule", f"{key}=:NoExecute")
    try:
        app.secrets("shop", "- objectName: app/key\n  objectAlias: key\n")
        cloud.apply(app.pod("early", "shop"))
        cloud.install_provider({"startupTaint": {"remove": True}})
        cloud.wait_for(lambda: taints() == [stays], 30, "the end of the taint")
        assert "the startup taint is removed" in cloud.provider_logs()
        # A pod that waited for it.
        cloud.wait_ready("early", app.namespace)

        kubectl = parts.binary("kubernetes", "kubectl")
        untaint = json.dumps({"spec": {"taints": None}})
        label = json.dumps({"metadata": {"labels": {"a": "b"}}})
        # Whoever is no pod of a node.
        said = refused(kubectl, f"--as={account}", "patch", "node", node.NODE, "-p", label)
        assert "no node but that of its own pod" in said, said
        [pod] = cloud.get("pods", namespace="kube-system", selector=f"app.kubernetes.io/name={PROVIDER}")
        bound = ["--bound-object-kind=Pod", f"--bound-object-name={pod['metadata']['name']}", f"--bound-object-uid={pod['metadata']['uid']}"]
        token = cloud.kubectl("create", "token", PROVIDER, "-n", "kube-system", *bound).strip()
        config = json.loads(cloud.kubeconfig.read_text())
        config["users"][0]["user"] = {"token": token}
        own = cloud.state / "provider.kubeconfig"
        own.write_text(json.dumps(config))
        for change, message in ((label, "changes nothing of a node but its taints"), (untaint, "takes the startup taint away and no other")):
            said = refused(kubectl, f"--kubeconfig={own}", "patch", "node", node.NODE, "-p", change)
            assert message in said, said
            tell(said.strip())
        assert taints() == [stays]
    finally:
        cloud.kubectl("taint", "node", node.NODE, f"{key}-", f"{stays}-", check=False)
        cloud.kubectl("delete", "-f", "-", input=policy)


def test_provider_runs_as_another_user_where_the_socket_folder_is_that_users(provider, app):
    # Not by /var/run, a link that would lead out of the node.
    folder, user = provider.root / "run/secrets-store-csi-providers", 65532

    def users():
        texts = (Path(f"/proc/{pid}/status").read_text() for pid in provider.provider_pids())
        return {int(re.search(r"^Uid:\t(\d+)", text, re.MULTILINE)[1]) for text in texts}

    app.secrets("shop", "- objectName: app/key")
    options = ["-n", "kube-system", "--reuse-values", "--set", f"linux.runAsUser={user}"]
    try:
        # While the folder is root's, the new pod cannot take the socket over and says why; the one before it stays.
        provider.helm("upgrade", PROVIDER, CHART, *options)
        said = f"user {user} may not make the socket /provider/alibabacloud.sock"
        provider.wait_for(lambda: said in provider.provider_logs(), 60, "the refusal")
        app.start("before", "shop")
        assert users() == {0}
        os.chown(folder, user, user)
        provider.wait_for(lambda: users() == {user}, 90, "the provider as another user")
        provider.rollout(f"daemonset/{PROVIDER}", "kube-system")
        app.start("after", "shop")
        assert app.read("after", "app_key") == "paper-falcon-19"
    finally:
        os.chown(folder, 0, 0)
        provider.install_provider()
    provider.wait_for(lambda: users() == {0}, 60, "the provider as root")
    app.start("again", "shop")


def install_lines():
    """The commands of the section 'Install', each on one line."""
    text = (DEPLOY / "README.md").read_text()
    section = text[text.index("## Install") :].split("\n## ", 1)[0]
    blocks = "\n".join(re.findall(r"```console\n(.*?)```", section, re.DOTALL))
    joined = re.sub(r"\s*\\\n\s*", " ", blocks)
    return [line.removeprefix("$ ") for line in joined.splitlines() if line.startswith("$ ")]


def test_the_install_lines_of_the_readme_work_as_they_stand(cloud, namespace):
    """But for what they leave to the reader, a registry that is not here, and a cloud whose CA is its own."""
    cloud.remove_double()
    cloud.uninstall_provider()
    cloud.uninstall_driver()
    # With the hook that installs the CRDs, which other tests leave out for its time.
    cloud.import_images(*cloud.chart_images(parts.chart("1.6.0"), DEPLOY / "driver-values.yaml", hooks=True))
    cloud.import_provider_image()
    cloud.trust_the_cloud()
    driver, image, provider, _ = install_lines()
    assert image.startswith(f"deploy/image --tag REGISTRY/{PROVIDER}:{images.version()} ")
    assert "secrets-store-csi-driver" in driver and "--version 1.6.0" in driver
    chart = str(parts.chart("1.6.0"))
    driver = re.sub(r" secrets-store-csi-driver --repo \S+ --version 1.6.0", f" {chart}", driver)
    provider = provider.replace(f"REGISTRY/{PROVIDER}", images.PROVIDER)
    provider = provider.replace("ACCOUNT_ID", ACCOUNT).replace("CLUSTER_ID", CLUSTER_ID)
    provider += " --set caFile.configMap=cloud-ca"
    for line in (driver, provider):
        assert "_ID" not in line and "REGISTRY" not in line, line
        words = [word.replace("deploy/", f"{DEPLOY}/", 1) if word.startswith("deploy/") else word for word in shlex.split(line)]
        cloud.helm(*words[1:])
    cloud.wait_for_driver()
    cloud.rollout(f"daemonset/{PROVIDER}", "kube-system")
    role = f"acs:ram::{ACCOUNT}:role/app"
    cloud.apply(
        workloads.service_account("app", namespace, role),
        workloads.secret_provider_class("shop", {"objects": "- objectName: app/key"}, namespace),
        workloads.pod("reader", namespace, [workloads.csi_volume("shop")], service_account="app"),
    )
    cloud.wait_ready("reader", namespace)
    assert cloud.read("reader", "/secrets/app_key", namespace) == b"paper-falcon-19"


def test_the_line_of_the_readme_for_kubectl_installs_the_manifests(cloud):
    cloud.remove_double()
    cloud.uninstall_provider()
    cloud.import_provider_image()
    line = install_lines()[3].replace("REGISTRY/", images.PROVIDER.removesuffix(PROVIDER)).replace("deploy/", f"{DEPLOY}/")
    line = line.replace("1234567890123456", ACCOUNT).replace("c0123456789abcdef", CLUSTER_ID)
    cloud.run("bash", "-c", line, network_only=True)
    try:
        cloud.rollout(f"daemonset/{PROVIDER}", "kube-system")
        assert "csi_provider_alibabacloud_build_info" in cloud.provider_metrics()
    finally:
        # Helm would not take over what is not its own.
        cloud.kubectl("delete", "-f", DEPLOY / "manifests", "--wait")
        cloud.wait_for(lambda: not cloud.provider_pids(), 60, "the provider's end")


@pytest.mark.parametrize(
    "values",
    [
        {"hostNetwork": True, "updateStrategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}},
        # No SELinux here: containerd takes the options and leaves them.
        {"securityContext": {"privileged": True}, "podSecurityContext": {"seLinuxOptions": {"type": "spc_t"}}},
    ],
    ids=["hostNetwork", "privileged"],
)
def test_a_pod_has_its_secret_from_a_provider_with_other_options(provider, app, values):
    provider.install_provider({"linux": values})
    pods = provider.get("pods", namespace="kube-system", selector=f"app.kubernetes.io/name={PROVIDER}")
    [pod] = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    assert pod["spec"].get("hostNetwork", False) == ("hostNetwork" in values)
    app.secrets("shop", "- objectName: app/key")
    app.start("reader", "shop")
    assert app.read("reader", "app_key") == "paper-falcon-19"
