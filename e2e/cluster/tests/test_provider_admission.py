"""Only signed images of the provider are admitted: what cosign verified, by digest, on a real API server.

Four images are pushed under one tag, to a registry on this machine: the provider's own, signed; one that nobody signed;
the signed one with a bit of its program changed; and one that somebody else signed."""

import importlib.machinery
import importlib.util
import json
import os
import re
import subprocess
import sys

import pytest

from cluster import parts, workloads
from cluster.cluster import DEPLOY, PROVIDER, REPOSITORY, Failed

RELEASE = REPOSITORY / "release"
NAME = f"{PROVIDER}-images"
REFUSED = "is not named by a digest that was verified"


def script(name):
    """A script of release/ as a module."""
    sys.path.insert(0, str(RELEASE))
    os.environ |= parts.release_tools()
    loader = importlib.machinery.SourceFileLoader(name, str(RELEASE / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


class Published:
    """The images in a registry, by what is wrong with them, and how they are verified."""

    def __init__(self, folder, address, image, publish, loopback):
        self.registry = publish.Registry(f"{address}/e2e", True)
        self.repository = self.registry.image
        self.folder, self.publish = folder, publish
        (ours, public), (theirs, _) = (loopback.key(publish.COSIGN, folder, name) for name in ("ours", "theirs"))
        self.trust = ["--key", str(public), "--insecure-ignore-tlog", "--allow-http-registry"]
        roots = "etc/ssl/certs/ca-certificates.crt"
        self.images = {
            "unsigned": self.push("unsigned", self.changed(image, roots, lambda content: content + b"# 1\n")),
            "signed with another key": self.push("theirs", self.changed(image, roots, lambda content: content + b"# 2\n"), theirs),
            "signed": self.push("signed", image, ours),
            "tampered": self.push("tampered", self.changed(image, PROVIDER, loopback.flipped)),
        }

    def changed(self, image, file, change):
        path = self.folder / "changed.tar"
        self.publish.oci.with_another_file(image, file, change, path)
        return self.publish.oci.Image(path)

    def archive(self, name):
        return self.folder / f"{name}.tar"

    def push(self, name, image, key=None):
        """Under the tag that all of them have, as an index as a release's is."""
        self.publish.oci.join([image], self.archive(name))
        reference = self.registry.push_image(self.archive(name))
        if key:
            words = ["--yes", "--recursive", "--key", key, *self.registry.log(), *self.registry.http()]
            self.publish.run(self.publish.COSIGN, "sign", *words, reference)
        return reference

    def policy(self, *references):
        """deploy/admission/policy, as an operator runs it."""
        command = [DEPLOY / "admission" / "policy", *self.trust, "--", *references]
        return subprocess.run(command, env=os.environ | parts.release_tools(), capture_output=True, text=True)


@pytest.fixture(scope="module")
def published(cluster, tmp_path_factory):
    os.environ.setdefault("COSIGN_PASSWORD", "for these tests")
    publish, folder = script("publish"), tmp_path_factory.mktemp("published")
    import loopback

    cluster.import_provider_image()
    with loopback.registry(folder) as address:
        yield Published(folder, address, publish.oci.Image(cluster.provider_image), publish, loopback)


def pod(image, **changes):
    """A pod of the provider's ServiceAccount, for the API server to judge and not to make."""
    made = workloads.pod("judged", "kube-system", service_account=PROVIDER)
    made["spec"]["containers"][0]["image"] = image
    made["spec"] |= changes
    return made


def refusal(cluster, thing):
    """What the API server says against an object, or nothing."""
    try:
        cluster.kubectl("apply", "--dry-run=server", "-f", "-", input=json.dumps(thing))
        return ""
    except Failed as error:
        return str(error)


@pytest.fixture
def policy(provider, published):
    """The provider runs, and the policy admits what cosign verified."""
    written = published.policy(published.images["signed"])
    assert written.returncode == 0, written.stderr
    provider.apply(written.stdout)
    try:
        provider.wait_for(lambda: REFUSED in refusal(provider, pod(published.images["unsigned"])), 30, "the policy")
        yield provider
    finally:
        provider.kubectl("delete", "-f", DEPLOY / "admission" / "policy.yaml", "--ignore-not-found")
        provider.wait_for(lambda: not refusal(provider, pod(published.images["unsigned"])), 30, "the policy's end")


def test_policy_is_written_only_if_cosign_accepts_every_image(published):
    signed = published.images["signed"]
    assert set(re.findall(r"sha256:[0-9a-f]{64}", published.policy(signed).stdout)) == {signed.rpartition("@")[2]}
    for name, said in {
        "unsigned": "no signatures found",
        "tampered": "no signatures found",
        "signed with another key": "accepted signatures do not match threshold",
    }.items():
        for references in ([published.images[name]], [signed, published.images[name]]):
            done = published.policy(*references)
            assert (done.returncode, done.stdout) == (1, ""), name
            assert said in done.stderr, name


def test_the_api_server_finds_no_fault_in_the_policys_expressions(policy):
    def checked():
        found = policy.get("validatingadmissionpolicy", NAME)
        return found if found.get("status", {}).get("observedGeneration") == found["metadata"]["generation"] else None

    status = policy.wait_for(checked, 30, "the type check")["status"]
    assert not status.get("typeChecking", {}).get("expressionWarnings")


def test_signed_image_is_admitted_by_digest_and_runs(policy, published):
    signed = published.images["signed"]
    policy.import_by_digest(published.archive("signed"), published.repository)
    policy.install_provider({"linux": {"image": {"repository": published.repository, "digest": signed.rpartition("@")[2]}}})

    def images():
        pods = policy.get("pods", namespace="kube-system", selector=f"app.kubernetes.io/name={PROVIDER}")
        return {pod["spec"]["containers"][0]["image"] for pod in pods}

    policy.wait_for(lambda: images() == {signed}, 60, "the provider's pods to be of the signed image")


@pytest.mark.parametrize("name", ["unsigned", "tampered", "signed with another key", "by its tag"])
def test_other_image_is_refused_and_the_provider_stays(policy, published, name):
    tag = f"{published.repository}:{published.publish.crates.version()}"
    image = published.images.get(name, tag)
    before = policy.provider_pids()
    said = refusal(policy, pod(image))
    assert REFUSED in said and image in said
    with pytest.raises(Failed) as refused:
        policy.kubectl("set", "image", f"daemonset/{PROVIDER}", "-n", "kube-system", f"provider={image}")
    assert REFUSED in str(refused.value) and "deploy/admission/policy" in str(refused.value)
    assert policy.provider_pids() == before


def test_every_container_of_the_provider_and_every_image_of_its_name_is_looked_at(policy, published):
    signed, unsigned = published.images["signed"], published.images["unsigned"]
    beside = [{"name": "beside", "image": "localhost/e2e/busybox:1"}]
    assert REFUSED in refusal(policy, pod(signed, initContainers=beside))
    assert REFUSED in refusal(policy, pod(signed, containers=[{"name": "main", "image": signed}, *beside]))
    # Another ServiceAccount and namespace, but the provider's image.
    elsewhere = pod(unsigned, serviceAccountName="default")
    elsewhere["metadata"]["namespace"] = "default"
    assert REFUSED in refusal(policy, elsewhere)
    running = policy.get("pods", namespace="kube-system", selector=f"app.kubernetes.io/name={PROVIDER}")[0]["metadata"]["name"]
    for change in (
        ["set", "image", f"pod/{running}", f"provider={unsigned}"],
        ["debug", running, "--image=localhost/e2e/busybox:1", "--profile=general"],
    ):
        with pytest.raises(Failed, match=REFUSED):
            policy.kubectl(*change, "-n", "kube-system")


def test_policy_without_digests_refuses_the_provider_alone(policy, published):
    policy.apply((DEPLOY / "admission" / "policy.yaml").read_text())
    policy.wait_for(lambda: REFUSED in refusal(policy, pod(published.images["signed"])), 30, "the refusal")
    others = pod("localhost/e2e/busybox:1", serviceAccountName="default")
    assert refusal(policy, others) == ""
