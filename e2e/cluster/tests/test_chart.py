"""What helm makes of values, without a cluster: refusals in words, and arguments that the program takes."""

import json
import os
import re
import socket
import subprocess

import pytest

from cluster import parts
from cluster.cluster import DEPLOY, REPOSITORY

CHART = DEPLOY / "chart"
IDS = ["rrsa.accountId=1234567890123456", "rrsa.clusterId=c1"]
ARN = "oidcProviderArn=acs:ram::1234567890123456:oidc-provider/ack-rrsa-c1"
KEYS = [f"envVarsFromSecret.{name}.{field}=x" for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY") for field in ("secretKeyRef", "key")]
ROLE = "identity.roleArn=acs:ram::1234567890123456:role/provider"


@pytest.fixture(scope="module", autouse=True)
def helm():
    """No cluster has built it before these tests on a fresh machine."""
    parts.build("helm")


def template(*options):
    command = [parts.binary("helm", "helm"), "template", "x", CHART, "--kube-version", parts.KUBERNETES, *options]
    return subprocess.run(command, capture_output=True, text=True)


def of(texts=(), values=()):
    return [word for text in texts for word in ("--set-string", text)] + [word for value in values for word in ("--set", value)]


@pytest.mark.parametrize(
    "texts, values, said",
    [
        ([], [], "identity pod, the default, cannot be used: it needs oidcProviderArn, or rrsa.accountId and"),
        (IDS[:1], [], "rrsa.accountId is set and rrsa.clusterId is not"),
        (IDS[1:], [], "rrsa.clusterId is set and rrsa.accountId is not"),
        (IDS[1:], IDS[:1], "rrsa.accountId is a number, and long numbers are rounded: quote it"),
        (IDS, ["regionId=__ACK_REGION_ID__"], "regionId is the placeholder __ACK_REGION_ID__"),
        (IDS, ["linux.image.repository=registry-__ACK_REGION_ID__.ack.aliyuncs.com/acs/x"], "holds a placeholder"),
        (
            IDS,
            ["linux.image.repository=registry-vpc.cn-hangzhou.ack.aliyuncs.com/acs/csi-secrets-store-provider-alibabacloud"],
            "is the official provider's image",
        ),
        (IDS, ["identity.default=provider"], "it needs identity.roleArn; and rrsa.enable"),
        ([], ["identity.default=ram-role"], "it needs ACCESS_KEY_ID and SECRET_ACCESS_KEY in envVarsFromSecret; and identity.roleArn"),
        ([], ["identity.default=access-key"], "it needs ACCESS_KEY_ID and SECRET_ACCESS_KEY"),
        (IDS, ["identity.default=auto"], "identity.allowed must list what it may choose"),
        (IDS, ["identity.allowed={ecs-role}"], "identity.default is pod, which identity.allowed does not have"),
        (IDS, ["linux.healthzPath=/metrics"], "neither /readyz nor /metrics"),
        (IDS, ["linux.healthzPath=/a?b"], "linux.healthzPath must be a path such as /healthz"),
        (IDS, ["podMonitor.enabled=true", "linux.metrics=false"], "podMonitor.enabled needs linux.metrics"),
        (IDS, ["logLevel=warning"], "is not one of error, warn, info, debug, trace, off"),
        (IDS, ["logLevel=provider=verbos"], '"verbos" is not one of'),
        (IDS, ["refreshInterval=25h"], "refreshInterval is 25h, and 24h is the most"),
        (IDS, ["refreshInterval=30m", "maxRefreshInterval=5m"], "maxRefreshInterval is less than refreshInterval"),
        (IDS, ["outageGrace=1h", "valueCacheMiB=0"], "outageGrace needs cached values"),
        (IDS, ["linux.updateStrategy.rollingUpdate.maxUnavailable=1"], "exactly one of them above 0"),
        (["rrsa.accountId=1.234567890123456e+15", IDS[1]], [], "rrsa.accountId is 1.234567890123456e+15, a rounded number: write all of its digits, and quote it"),
        (["rrsa.accountId=__ACCOUNT__", IDS[1]], [], "rrsa.accountId is the placeholder __ACCOUNT__: write the account's id"),
        ([IDS[0], "rrsa.clusterId=c-1"], [], 'rrsa.clusterId is "c-1": an id has letters and digits only'),
        (IDS, ["linux.enabled=false"], "linux.enabled is false, and this chart has nothing but the provider for Linux"),
        (IDS, [f"envVarsFromSecret.MY_KEY.{field}=x" for field in ("secretKeyRef", "key")], "envVarsFromSecret.MY_KEY is a variable that the program does not read"),
        (IDS, ["serviceMonitor.enabled=true", "linux.metrics=false"], "serviceMonitor.enabled needs linux.metrics"),
        (IDS, ["serviceMonitor.enabled=true", "podMonitor.enabled=true"], "podMonitor.enabled and serviceMonitor.enabled: each has the same metrics read"),
        (IDS, ["commonLabels.app\\.kubernetes\\.io/name=x"], "commonLabels: app.kubernetes.io/name is set by the chart"),
        (IDS, ["linux.podLabels.app\\.kubernetes\\.io/instance=x"], "linux.podLabels: app.kubernetes.io/instance is set by the chart"),
        (IDS, ["commonLabels.team=a", "linux.labels.team=b"], "linux.labels: team is in commonLabels already"),
        (IDS, ["linux.podLabels.app=x", "compatibility.selector=official"], "linux.podLabels: app is what compatibility.selector selects by"),
        (IDS, ["extraEnv[0].name=NODE_NAME"], "extraEnv: NODE_NAME is set by the chart already"),
        (IDS, ["startupTaint.key=node.kubernetes.io/not-ready"], "startupTaint.key is node.kubernetes.io/not-ready, Kubernetes' own taint"),
        (IDS, ["linux.securityContext.runAsUser=7"], "linux.securityContext.runAsUser: set linux.runAsUser"),
        (IDS, ["linux.podSecurityContext.runAsNonRoot=true"], "linux.podSecurityContext.runAsNonRoot: set linux.runAsUser"),
        (IDS, ["linux.hostNetwork=true"], "two pods cannot have one port of a node"),
        (
            IDS,
            ["linux.hostNetwork=true", "linux.hostUsers=false", "linux.updateStrategy.type=OnDelete"],
            "linux.hostUsers is false, which Kubernetes refuses beside linux.hostNetwork",
        ),
        (IDS, ["linux.terminationGracePeriodSeconds=20"], "mounts that are being drained for drainTimeout, 25 s, would be killed"),
        (IDS, ["extraArgs={--share=pod}"], "extraArgs: --share is set by a value of the chart already"),
    ],
)
def test_value_that_cannot_work_fails_in_words(texts, values, said):
    ended = template(*of(texts, values))
    assert ended.returncode != 0 and said in ended.stderr, ended.stderr
    assert len(re.findall("^  - ", ended.stderr, re.MULTILINE)) == 1, ended.stderr


def test_defaults_of_another_chart_fail_in_words():
    """What helm makes of --reuse-values: its values without this chart's defaults. Here one is taken away."""
    said = template(*of(IDS), "--set", "identity=null").stderr
    assert "The chart's own defaults are missing, as with --reuse-values" in said and "--reset-then-reuse-values" in said, said


def test_all_wrong_values_are_reported_together(tmp_path):
    """In a file, where helm takes long numbers for floating ones."""
    values = tmp_path / "values.yaml"
    values.write_text("rrsa: {accountId: 1234567890123456, clusterId: 12}\nlogLevel: warning\nregionId: __ACK_REGION_ID__\n")
    said = template("--values", values).stderr
    for part in ("accountId is a number", "clusterId is a number", "did you mean warn?", "regionId is the placeholder"):
        assert part in said, said


@pytest.fixture(scope="module")
def program():
    subprocess.run(["cargo", "build", "--locked", "--quiet", "--bin", "csi-secrets-store-provider-alibabacloud"], cwd=REPOSITORY, check=True)
    return REPOSITORY / os.environ.get("CARGO_TARGET_DIR", "target") / "debug/csi-secrets-store-provider-alibabacloud"


def arguments(manifest):
    """The container's, as Kubernetes gives them."""
    listed = re.search(r"^ +args:\n((?: +- \".*\"\n)+)", manifest, re.MULTILINE)[1]
    return [json.loads(line.strip().removeprefix("- ")) for line in listed.splitlines()]


def started(program, manifest, tmp_path, environment=None):
    """How the program ends that cannot have its port, and what it says."""
    with socket.create_server(("0.0.0.0", 0)) as taken:
        port = taken.getsockname()[1]
        file = tmp_path / "file"
        file.write_text("a text of more than thirty-two bytes")
        given = dict(argument.split("=", 1) for argument in arguments(manifest))
        given |= {"--provider-volume": tmp_path, "--healthz-port": port, "--region": "cn-hangzhou"}
        # What is mounted into the container: for one, the token that look-ups need.
        given.setdefault("--kubernetes-api", "http://127.0.0.1:1")
        given |= {flag: file for flag in ("--oidc-token-file", "--audit-key-file") if flag in given}
        given |= {"--audit": tmp_path / "audit.log"} if given.get("--audit") == "/audit/audit.log" else {}
        words = [f"{flag}={value}" for flag, value in given.items()]
        ended = subprocess.run([program, *words], env=environment or {}, capture_output=True, text=True, timeout=30)
        return ended.returncode, ended.stderr, f"cannot listen on port {port}"


@pytest.mark.parametrize(
    "texts, values",
    [
        (IDS, []),
        ([], [ARN, "identity.allowed={pod,node-publish-secret}", "identity.default=node-publish-secret"]),
        (IDS, ["identity.default=provider", "rrsa.enable=true", ROLE]),
        ([], ["identity.default=ram-role", ROLE, *KEYS]),
        ([], ["identity.default=access-key", *KEYS, "serviceAccountLookup=false"]),
        ([], ["identity.default=auto", "identity.allowed={pod,ecs-role}"]),
        (IDS, ["audit.to=file", "audit.key.secret=x", "audit.maxMiB=1", "audit.files=2", "audit.failure=continue"]),
        (IDS, ["audit.to=stdout", "outageGrace=24h", "staleWhileThrottled=2h", "minRefreshInterval=30s", "maxRefreshInterval=24h", "valueCacheMiB=1", "share=service-account"]),
        (IDS, ["logLevel=warn\\,provider=debug", "logFormatJSON=true", "linux.healthzPath=/live-z", "linux.metrics=false", "endpoints.public=true"]),
        (IDS, ["endpoints.resolve={*.example.com=10.0.0.1:443}", "endpoints.sts=sts.aliyuncs.com", "endpoints.userAgent=ACK/prod", "endpoints.metadata=10.0.0.2:80"]),
    ],
)
def test_arguments_that_the_chart_makes_are_taken_by_the_program(program, tmp_path, texts, values):
    rendered = template(*of(texts, values))
    assert rendered.returncode == 0, rendered.stderr
    environment = {"ACCESS_KEY_ID": "x", "SECRET_ACCESS_KEY": "x"} if KEYS[0] in values else {}
    status, said, last = started(program, rendered.stdout, tmp_path, environment)
    assert status == 1 and last in said, said


def test_plain_manifests_end_with_the_placeholders_that_are_left(program, tmp_path):
    manifest = (DEPLOY / "manifests/daemonset.yaml").read_text()
    assert "terminationMessagePolicy: FallbackToLogsOnError" in manifest
    status, said, _ = started(program, manifest, tmp_path)
    assert status == 64 and "--account-id and --cluster-id do not make an OIDC provider's ARN" in said, said
    manifest = manifest.replace("=ACCOUNT_ID", "=1234567890123456").replace("=CLUSTER_ID", "=c1")
    status, said, last = started(program, manifest, tmp_path)
    assert status == 1 and last in said, said
