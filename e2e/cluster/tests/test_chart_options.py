"""Each option of the chart has the effect that deploy/chart/README.md tells, and each value of the official chart an answer."""

import copy
import json
import re
import subprocess

import pytest
import yaml
from test_chart import CHART
from test_official_upgrade import BACK, documented

from cluster import official, parts
from cluster.cluster import PROVIDER

BASE = {"rrsa": {"accountId": "1234567890123456", "clusterId": "c1"}}
POD = "DaemonSet spec.template.spec"
MAIN = f"{POD}.containers.0"


@pytest.fixture(scope="module", autouse=True)
def helm():
    parts.build("helm")


def merged(*values):
    """As helm merges files."""
    made = {}
    for given in values:
        for name, value in given.items():
            both = isinstance(value, dict) and isinstance(made.get(name), dict)
            made[name] = merged(made[name], value) if both else copy.deepcopy(value)
    return made


def rendered(values, *options):
    command = [parts.binary("helm", "helm"), "template", "x", CHART, "--kube-version", parts.KUBERNETES, "--values", "-", *options]
    return subprocess.run(command, input=json.dumps(values), capture_output=True, text=True)


def objects(values):
    """What helm makes of the values, by kind."""
    done = rendered(merged(BASE, values))
    assert done.returncode == 0, done.stderr
    made = {}
    for found in yaml.safe_load_all(done.stdout):
        if found:
            assert found["kind"] not in made, found["kind"]
            made[found["kind"]] = found
    return made


def notes(values):
    """NOTES.txt, which helm template does not show: by an extra object that includes it."""
    asked = 'kind: ConfigMap\napiVersion: v1\nmetadata: {name: notes}\ndata: {notes: {{ include "provider.notes" . | toJson }}}'
    return objects(merged(values, {"extraObjects": [asked]}))["ConfigMap"]["data"]["notes"]


def at(made, path):
    """What is at a path such as 'DaemonSet spec.replicas', or None. A label's own dots are written as /."""
    kind, _, rest = path.partition(" ")
    found = made.get(kind)
    for step in rest.split(".") if rest else []:
        if isinstance(found, list):
            found = found[int(step)] if int(step) < len(found) else None
        else:
            found = (found or {}).get(step.replace("|", "."))
    return found


def linux(**values):
    return {"linux": values}


# The last of a probe's default times, so that a test sees that they stay.
STARTUP = {"httpGet": {"path": "/healthz", "port": "healthz"}, "periodSeconds": 1, "timeoutSeconds": 6, "failureThreshold": 30}
OPTIONS = {
    "commonLabels": (
        {"commonLabels": {"team": "a"}},
        {
            **{f"{kind} metadata.labels.team": "a" for kind in ("DaemonSet", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "NetworkPolicy")},
            "DaemonSet spec.template.metadata.labels.team": "a",
            "DaemonSet spec.selector.matchLabels.team": None,
        },
    ),
    "compatibility.selector": (
        {"compatibility": {"selector": "official"}},
        {"DaemonSet spec.selector.matchLabels": {"app": PROVIDER}, "DaemonSet spec.template.metadata.labels.app": PROVIDER},
    ),
    "endpoints.userAgent": ({"endpoints": {"userAgent": "ACK/prod"}}, {f"{MAIN}.args.16": "--user-agent=ACK/prod"}),
    "events": (
        {"events": {"enabled": True, "after": "10m"}, "serviceAccountLookup": False},
        {
            f"{MAIN}.args.4": "--events=10m",
            "ClusterRole rules": [{"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create"]}],
            f"{MAIN}.volumeMounts.1.name": "kube-api-access",
            "NetworkPolicy spec.egress.1.ports.1.port": 6443,
        },
    ),
    "extraEnv": (
        {"extraEnv": [{"name": "TZ", "value": "Asia/Shanghai"}]},
        {f"{MAIN}.env.0.name": "NODE_NAME", f"{MAIN}.env.1": {"name": "TZ", "value": "Asia/Shanghai"}},
    ),
    "extraObjects": (
        {"extraObjects": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-more"}}]},
        {"ConfigMap metadata.name": "x-more"},
    ),
    "grafanaDashboard": (
        {"grafanaDashboard": {"enabled": True, "labels": {"grafana_dashboard": "yes"}, "annotations": {"grafana_folder": "Secrets"}}},
        {
            "ConfigMap metadata.labels.grafana_dashboard": "yes",
            "ConfigMap metadata.annotations.grafana_folder": "Secrets",
            "ConfigMap data": {"secrets-provider-alibabacloud.json": (CHART / "dashboards" / "provider.json").read_text()},
        },
    ),
    "linux.annotations": (linux(annotations={"a": "b"}), {"DaemonSet metadata.annotations": {"a": "b"}, "DaemonSet spec.template.metadata.annotations": None}),
    "linux.dnsConfig": (
        linux(dnsConfig={"options": [{"name": "ndots", "value": "1"}]}),
        {f"{POD}.dnsConfig": {"options": [{"name": "ndots", "value": "1"}]}},
    ),
    "linux.dnsPolicy": (linux(dnsPolicy="Default"), {f"{POD}.dnsPolicy": "Default"}),
    "linux.hostNetwork": (
        linux(hostNetwork=True, updateStrategy={"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}),
        {f"{POD}.hostNetwork": True},
    ),
    "linux.hostUsers": (linux(hostUsers=False), {f"{POD}.hostUsers": False}),
    "linux.labels": (linux(labels={"a": "b"}), {"DaemonSet metadata.labels.a": "b", "DaemonSet spec.template.metadata.labels.a": None}),
    "linux.livenessProbe": (
        linux(livenessProbe={"initialDelaySeconds": 9, "failureThreshold": 5}),
        {f"{MAIN}.livenessProbe": STARTUP | {"initialDelaySeconds": 9, "periodSeconds": 20, "failureThreshold": 5}},
    ),
    "linux.minReadySeconds": (linux(minReadySeconds=7), {"DaemonSet spec.minReadySeconds": 7}),
    "linux.podSecurityContext": (
        linux(podSecurityContext={"seLinuxOptions": {"type": "spc_t"}}),
        {f"{POD}.securityContext.seLinuxOptions": {"type": "spc_t"}, f"{POD}.securityContext.seccompProfile": {"type": "RuntimeDefault"}},
    ),
    "linux.providersDir": (
        linux(providersDir="/etc/kubernetes/secrets-store-csi-providers"),
        {f"{POD}.volumes.0.hostPath.path": "/etc/kubernetes/secrets-store-csi-providers"},
    ),
    "linux.readinessProbe": (linux(readinessProbe={"periodSeconds": 2}), {f"{MAIN}.readinessProbe.periodSeconds": 2}),
    "linux.scrapeAnnotations": (
        linux(scrapeAnnotations=True, healthzPort=9000),
        {
            "DaemonSet spec.template.metadata.annotations": {
                "prometheus.io/scrape": "true",
                "prometheus.io/port": "9000",
                "prometheus.io/path": "/metrics",
            }
        },
    ),
    "linux.securityContext": (
        linux(securityContext={"privileged": True, "capabilities": {"add": ["SYS_PTRACE"]}}),
        {
            f"{MAIN}.securityContext": {
                "privileged": True,
                # Kubernetes refuses a privileged container that may not gain privileges.
                "allowPrivilegeEscalation": True,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"], "add": ["SYS_PTRACE"]},
            }
        },
    ),
    "linux.startupProbe": (linux(startupProbe={"failureThreshold": 90}), {f"{MAIN}.startupProbe": STARTUP | {"failureThreshold": 90}}),
    "linux.terminationGracePeriodSeconds": (linux(terminationGracePeriodSeconds=90), {f"{POD}.terminationGracePeriodSeconds": 90}),
    "prometheusRule.runbooks": (
        {"prometheusRule": {"enabled": True, "runbooks": "https://wiki.example.com/secrets"}},
        {"PrometheusRule spec.groups.0.rules.0.annotations.runbook_url": "https://wiki.example.com/secrets#secretsproviderdown"},
    ),
    "proxy.except": (
        {"endpoints": {"public": True}, "proxy": {"url": "http://p:3128", "except": ["a.example", "10.0.0.0/8"]}},
        {f"{MAIN}.args.13": "--no-proxy=a.example,10.0.0.0/8"},
    ),
    "proxy.port": (
        {"endpoints": {"public": True}, "proxy": {"secret": "proxy", "port": 8080}},
        {"NetworkPolicy spec.egress.3.ports": [{"port": 8080, "protocol": "TCP"}]},
    ),
    "proxy.secret": (
        {"endpoints": {"public": True}, "proxy": {"secret": "proxy"}},
        {f"{MAIN}.env.1": {"name": "ALIBABACLOUD_PROVIDER_HTTPS_PROXY", "valueFrom": {"secretKeyRef": {"name": "proxy", "key": "url"}}}},
    ),
    "proxy.url": (
        {"endpoints": {"public": True}, "proxy": {"url": "http://p.example:3129/"}},
        {f"{MAIN}.args.7": "--https-proxy=http://p.example:3129/", "NetworkPolicy spec.egress.3.ports": [{"port": 3129, "protocol": "TCP"}]},
    ),
    "proxy.vpcEndpoints": (
        {"proxy": {"url": "http://p", "vpcEndpoints": True}},
        {f"{MAIN}.args.14": "--proxy-vpc-endpoints=true", "NetworkPolicy spec.egress.3.ports": [{"port": 80, "protocol": "TCP"}]},
    ),
    "serviceAccount.create": (
        {"serviceAccount": {"create": False, "name": "made-elsewhere"}},
        {"ServiceAccount": None, f"{POD}.serviceAccountName": "made-elsewhere", "ClusterRoleBinding subjects.0.name": "made-elsewhere"},
    ),
    "serviceAccount.labels": ({"serviceAccount": {"labels": {"a": "b"}}}, {"ServiceAccount metadata.labels.a": "b"}),
    "serviceMonitor": (
        {"serviceMonitor": {"enabled": True, "interval": "30s", "labels": {"release": "prometheus"}}, "prometheusRule": {"enabled": True}},
        {
            "Service spec.clusterIP": "None",
            "Service spec.ports.0": {"name": "healthz", "port": 8989, "targetPort": "healthz"},
            "ServiceMonitor metadata.labels.release": "prometheus",
            "ServiceMonitor spec.endpoints.0.interval": "30s",
            "ServiceMonitor spec.endpoints.0.relabelings.1": {"targetLabel": "job", "replacement": f"default/x-{PROVIDER}"},
            # The alert on a provider that is down asks for this job.
            "PrometheusRule spec.groups.0.rules.0.expr": f'up{{job="default/x-{PROVIDER}"}} == 0',
        },
    ),
    "startupTaint": (
        {"startupTaint": {"remove": True, "key": "example.com/wait"}, "serviceAccountLookup": False, **linux(tolerations=[])},
        {
            f"{MAIN}.args.14": "--remove-startup-taint=example.com/wait",
            f"{POD}.tolerations": [{"key": "example.com/wait", "operator": "Exists"}],
            # Which the look-up of ServiceAccounts does not need.
            "ClusterRole rules": [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "patch"]}],
            f"{MAIN}.volumeMounts.1.name": "kube-api-access",
            "NetworkPolicy spec.egress.1.ports.1.port": 6443,
        },
    ),
}


@pytest.mark.parametrize("option", OPTIONS)
def test_option_has_its_effect_and_none_unless_set(option):
    values, effects = OPTIONS[option]
    made, plain = objects(values), objects({})
    assert {path: at(made, path) for path in effects} == effects
    assert any(at(plain, path) != value for path, value in effects.items())


def test_locked_memory_adds_its_capability_to_those_of_the_values():
    given = {"lockMemory": True, **linux(securityContext={"capabilities": {"add": ["SYS_PTRACE"]}})}
    assert at(objects(given), f"{MAIN}.securityContext.capabilities.add") == ["SYS_PTRACE", "IPC_LOCK"]


def test_namespace_rules_are_a_file_of_the_provider_and_a_change_rolls_it():
    rules = [{"namespaces": ["a"], "objects": {"kms": ["{namespace}/*"]}}]
    made = objects({"identity": {"namespaceRules": rules}})
    assert yaml.safe_load(made["ConfigMap"]["data"]["rules.yaml"]) == {"rules": rules}
    (flag,) = [flag for flag in at(made, f"{MAIN}.args") if flag.startswith("--namespace-rules=")]
    (volume,) = [of for of in at(made, f"{POD}.volumes") if of.get("configMap", {}).get("name") == at(made, "ConfigMap metadata.name")]
    (mount,) = [of for of in at(made, f"{MAIN}.volumeMounts") if of["name"] == volume["name"]]
    assert flag == f"--namespace-rules={mount['mountPath']}/rules.yaml"
    other = objects({"identity": {"namespaceRules": [{"namespaces": ["*"]}]}})
    annotation = "DaemonSet spec.template.metadata.annotations"
    assert at(made, annotation) != at(other, annotation)
    assert "ConfigMap" not in objects({})


def test_service_of_the_monitor_selects_the_pods_and_the_monitor_the_service():
    made = objects({"serviceMonitor": {"enabled": True}, "commonLabels": {"team": "a"}, "compatibility": {"selector": "official"}})
    pod, service = at(made, "DaemonSet spec.template.metadata.labels"), made["Service"]
    assert made["Service"]["spec"]["selector"].items() <= pod.items()
    assert at(made, "ServiceMonitor spec.selector.matchLabels").items() <= service["metadata"]["labels"].items()
    assert at(made, "NetworkPolicy spec.podSelector.matchLabels").items() <= pod.items()


def test_the_readme_has_each_option_with_its_test():
    text = (CHART / "README.md").read_text()
    section = text[text.index("## Options that other charts have") :].split("\n## ", 1)[0]
    listed = re.findall(r"^\| `([A-Za-z.]+)` \|.*\| `test_option_has_its_effect_and_none_unless_set\[(.*)\]`", section, re.MULTILINE)
    assert [option for option, _ in listed] == [test for _, test in listed] == list(OPTIONS)


def leaves(values, path=""):
    for name, value in values.items():
        below = f"{path}.{name}" if path else name
        if isinstance(value, dict) and value:
            yield from leaves(value, below)
        else:
            yield below


def test_every_value_of_the_chart_is_in_its_readme():
    text = (CHART / "README.md").read_text()
    table = text[: text.index("## The official chart's values")]
    rows = [re.findall(r"`([^`]+)`", row.split("|")[1]) for row in table.splitlines() if row.startswith("| `")]
    # `linux.image.tag`, `.digest`: a name that begins with a dot is beside the one before.
    named = {name for row in rows for name in [*row, *(f"{row[0].rpartition('.')[0]}{name}" for name in row if name.startswith("."))]}
    for path in leaves(yaml.safe_load((CHART / "values.yaml").read_text())):
        words = path.split(".")
        above = {".".join(words[:depth]) for depth in range(1, len(words) + 1)}
        assert above & named or {f"{words[0]}.*", f"{path}.NAME"} & named, path


USED, LISTED, REFUSED = "used", "listed", "refused"
# Each value of the official chart: another content than its default, and what this chart makes of it.
OFFICIAL = {
    "nameOverride": ("short", USED),
    "fullnameOverride": ("whole", USED),
    "imagePullSecrets": ([{"name": "registry"}], USED),
    "logVerbosity": (2, LISTED),
    "regionId": ("cn-hangzhou", USED),
    "envVarsFromSecret": ({"ACCESS_KEY_ID": {"secretKeyRef": "keys", "key": "id"}}, USED),
    "rrsa.enable": (True, USED),
    "rrsa.accountId": ("6543210987654321", USED),
    "rrsa.clusterId": ("c2", USED),
    "rbac.install": (False, USED),
    "linux.enabled": (True, LISTED),
    "linux.image.repository": ("registry.example.com/provider", USED),
    "linux.image.tag": ("v9", USED),
    "linux.image.pullPolicy": ("Always", USED),
    "linux.nodeSelector": ({"pool": "a"}, USED),
    "linux.tolerations": ([], USED),
    "linux.affinity": ({"podAffinity": {}}, USED),
    "linux.resources.requests": ({"cpu": "50m"}, USED),
    "linux.resources.limits": ({"memory": "500Mi"}, USED),
    "linux.podLabels": ({"a": "b"}, USED),
    "linux.podAnnotations": ({"a": "b"}, USED),
    "linux.priorityClassName": ("", USED),
    "linux.updateStrategy.type": ("OnDelete", USED),
    "linux.updateStrategy.rollingUpdate.maxUnavailable": (1, REFUSED),
    "linux.healthzPort": (9000, USED),
    "linux.healthzPath": ("/live", USED),
    "linux.healthzTimeout": ("9s", LISTED),
    "linux.volumes": ([{"name": "a", "emptyDir": {}}], USED),
    "linux.volumeMounts": ([{"name": "a", "mountPath": "/a"}], USED),
    "linux.providersDir": ("/providers", USED),
    "linux.kubeletRootDir": ("/kubelet", LISTED),
    **{f"secrets-store-csi-driver.{name}": (value, LISTED) for name, value in {
        "install": True,
        "fullnameOverride": "secrets-store-csi-driver",
        "linux": {"enabled": True},
        "enableSecretRotation": False,
        "rotationPollInterval": "2m",
        "tokenRequests": [{"audience": "sts.aliyuncs.com"}],
        "syncSecret": {"enabled": False},
    }.items()},
}  # fmt: skip


def nested(path, value):
    for name in reversed(path.split(".")):
        value = {name: value}
    return value


def test_no_value_of_the_official_chart_is_left_out_of_this_test():
    double = yaml.safe_load((official.CHART / "values.yaml").read_text())
    del double["standIn"]
    found = {".".join(path.split(".")[:2]) if path.startswith("secrets-store") else path for path in leaves(double)}
    found = {path.rsplit(".", 1)[0] if path.startswith("linux.resources") and path.count(".") == 3 else path for path in found}
    assert found == set(OFFICIAL)


@pytest.mark.parametrize("path", OFFICIAL)
def test_value_of_the_official_chart_is_used_listed_or_refused(path):
    value, answer = OFFICIAL[path]
    given = nested(path, value)
    done = rendered(merged(BASE, given))
    if answer == REFUSED:
        assert done.returncode != 0 and path.rsplit(".", 1)[0] in done.stderr and path.rsplit(".", 1)[1] in done.stderr, done.stderr
        return
    assert done.returncode == 0, done.stderr
    changed = done.stdout != rendered(BASE).stdout
    listed = f"\n- {path}: " in notes(given)
    assert {"used": changed, "listed": listed} == {"used": answer == USED, "listed": answer == LISTED}


def test_defaults_of_the_official_chart_fail_with_all_that_must_be_changed():
    """A copy of its values.yaml, as some have."""
    double = yaml.safe_load((official.CHART / "values.yaml").read_text())
    del double["standIn"]
    said = rendered(double).stderr
    assert "regionId is the placeholder" in said and "linux.image.repository holds a placeholder" in said and "maxUnavailable 1" in said, said
    ours = {"regionId": "cn-hangzhou", "linux": {"image": {"repository": f"example.com/{PROVIDER}", "tag": ""}, "updateStrategy": {"rollingUpdate": {"maxSurge": 0}}}}
    assert objects(merged(double, BASE, ours))


def test_a_null_map_of_variables_is_taken_as_an_official_file_has_it():
    assert rendered({**BASE, "envVarsFromSecret": None}).returncode == 0


def test_a_tag_of_another_version_is_told_of():
    assert "linux.image.tag is v9; this chart is made for" in notes(linux(image={"tag": "v9"}))
    assert "linux.image.tag" not in notes({})


def test_pods_may_have_labels_that_the_chart_sets_on_objects_alone():
    given = linux(podLabels={"app.kubernetes.io/version": "mine"})
    assert at(objects(given), "DaemonSet spec.template.metadata.labels")["app.kubernetes.io/version"] == "mine"


def test_folder_that_the_driver_does_not_know_by_itself_is_told_of():
    told = "must look for providers in /providers: add it to linux.additionalProvidersDirs"
    assert told in notes(linux(providersDir="/providers"))
    for known in ({}, OPTIONS["linux.providersDir"][0]):
        assert "additionalProvidersDirs" not in notes(known)


def test_open_port_of_the_node_is_told_of():
    assert "port 8989, metrics included, is one of the node" in notes(OPTIONS["linux.hostNetwork"][0])
    assert "of the node" not in notes({})


def runs_on(pod, labels):
    """Whether a DaemonSet's pod is for a node, by selector and required node affinity."""
    meets = {"In": lambda rule: labels.get(rule["key"]) in rule["values"], "NotIn": lambda rule: labels.get(rule["key"]) not in rule["values"]}
    affinity = pod.get("affinity", {}).get("nodeAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution")
    terms = affinity["nodeSelectorTerms"] if affinity else [{"matchExpressions": []}]
    selected = pod.get("nodeSelector", {}).items() <= labels.items()
    return selected and any(all(meets[rule["operator"]](rule) for rule in term["matchExpressions"]) for term in terms)


def test_canary_and_official_provider_never_share_a_node(tmp_path):
    """By the commands of docs/official-chart.md, on nodes of the pool and others."""
    keep_off, install = (documented(command) for command in (f"{BACK} --namespace kube-system --reuse-values", "helm install canary"))
    parts.build("driver-1.6.0")
    command = [parts.binary("helm", "helm"), "template", PROVIDER, official.chart("0.6.0", tmp_path), "--kube-version", parts.KUBERNETES]
    made = subprocess.run([*command, *keep_off[keep_off.index("--set-json") :]], capture_output=True, text=True, check=True).stdout
    [old] = [each for each in yaml.safe_load_all(made) if each and each["kind"] == "DaemonSet" and each["metadata"]["name"] == PROVIDER]
    changes = [word for word in install if "=" in word]
    new = yaml.safe_load_all(rendered(BASE, *(word for change in changes for word in ("--set", change))).stdout)
    new = {each["kind"]: each for each in new if each}
    pool, rest = ({"kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"} | more for more in ({"secrets-provider": "canary"}, {}))
    pods = [each["spec"]["template"]["spec"] for each in (old, new["DaemonSet"])]
    assert [[runs_on(pod, labels) for pod in pods] for labels in (pool, rest)] == [[False, True], [True, False]]
    assert pods[0]["serviceAccountName"] == pods[1]["serviceAccountName"] and "ServiceAccount" not in new
