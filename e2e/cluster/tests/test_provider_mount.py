"""A pod reads its secret, another is refused, and nothing of it is written down."""

import base64
import secrets
import subprocess

import pytest
from conftest import APP_ROLE

from cluster import Failed, parts, workloads
from cluster.cluster import DRIVER_RELEASE, PROVIDER

OBJECTS = """
- objectName: app/db
- objectName: app/key
  objectAlias: key
- objectName: /app/password
  objectType: oos
  objectAlias: password
"""


@pytest.mark.matrix("mount")
def test_a_pod_reads_kms_and_oos_secrets_from_its_volume(provider, app):
    app.secrets("shop", OBJECTS)
    app.start("shop", "shop")
    assert provider.listing("shop", namespace=app.namespace) == ["app_db", "key", "password"]
    assert app.read("shop", "app_db") == '{"username":"app","password":"copper-lantern-41"}'
    assert app.read("shop", "key") == "paper-falcon-19"
    assert app.read("shop", "password") == "gentle-thunder-36"
    answered = provider.reads("shop", app.namespace)
    assert {request["principal"]["arn"] for request in answered} == {APP_ROLE}


def test_the_provider_serves_within_its_sandbox(provider):
    log = provider.provider_logs()
    assert "no_new_privileges=held" in log and "system_calls=held" in log, log
    assert "files=held" in log, log


@pytest.fixture
def refused(provider, app):
    """A pod that claims a role which does not trust its ServiceAccount, after kubelet tried three times."""
    app.secrets("shop", OBJECTS)
    provider.apply(workloads.service_account("stranger", app.namespace, APP_ROLE))
    provider.apply(app.pod("stranger", "shop", service_account="stranger"))
    provider.ctl("clear")
    attempts = {"action": "AssumeRoleWithOIDC", "status": 401}
    provider.wait_for(lambda: len(provider.requests(**attempts)) >= 3, 60, "three attempts")

    def told():
        return sum(event["count"] for event in app.failure_events("stranger"))

    provider.wait_for(lambda: told() >= 3, 60, "three attempts in events")
    return "stranger"


@pytest.mark.matrix("refuse")
def test_another_service_account_is_refused_and_one_event_says_why(provider, app, refused, tell):
    description = provider.kubectl("describe", "pod", refused, "-n", app.namespace)
    tell(description[description.index("Events:") :])
    why = (
        f"the trust policy of {APP_ROLE} must allow acs:ram::1234567890123456:oidc-provider/ack-rrsa-c0123456789abcdef "
        f"with oidc:aud sts.aliyuncs.com and oidc:sub system:serviceaccount:{app.namespace}:{refused}"
    )
    assert why in description
    # One event, which counts, and needs no other nor a log.
    [event] = app.failure_events(refused)
    assert f"for pod {app.namespace}/{refused}" in event["message"]
    assert "AssumeRoleWithOIDC" in event["message"] and "AuthenticationFail.NoPermission" in event["message"]
    assert event["message"].endswith(why)
    assert provider.get("pod", refused, app.namespace)["status"]["phase"] == "Pending"
    assert not provider.reads(refused, app.namespace)


def shapes(value):
    """The bytes that a value leaves: as it is, and inside of any base64."""
    raw = value.encode()
    encoded = [base64.b64encode(b"\0" * shift + raw)[(shift * 8 + 5) // 6 :] for shift in range(3)]
    return [raw, *(text.rstrip(b"=")[:-1] for text in encoded), raw.hex().encode()]


def files_with(value, *arguments):
    """Files among those that find finds, which hold the value in any shape."""
    command = ["find", *map(str, arguments), "-type", "f", "-size", "+0", "-print0"]
    found = subprocess.run(command, capture_output=True).stdout.split(b"\0")[:-1]
    wanted = shapes(value)
    holding = []
    for name in found:
        try:
            with open(name, "rb") as file:
                content = file.read()
        except OSError:
            continue
        if any(shape in content for shape in wanted):
            holding.append(name.decode())
    return holding, len(found)


def test_no_secret_byte_is_in_etcd_or_on_the_nodes_disk(provider, app, tell, tmp_path):
    stamp = tmp_path / "began"
    stamp.touch()
    mounted, in_etcd, on_disk = (f"{name}-{secrets.token_hex(12)}" for name in ("mounted", "etcd", "disk"))
    provider.ctl("put", "app/scanned", mounted)
    app.secrets("scanned", "- objectName: app/scanned\n- objectName: app/key")
    # Controls: the scan finds what is written down.
    provider.apply(workloads.secret("control", {"value": in_etcd}, app.namespace))
    provider.apply(app.pod("control", "scanned", command=["/bin/sh", "-c", f"echo {on_disk[:-1]}''{on_disk[-1]}; sleep 1000000"]))
    app.start("scanned", "scanned")
    provider.wait_ready("control", app.namespace)
    assert app.read("scanned", "app_scanned") == mounted
    # A rotation is written too.
    rotated = f"rotated-{secrets.token_hex(12)}"
    provider.ctl("rotate", "app/scanned", rotated)
    provider.wait_for(lambda: app.read("scanned", "app_scanned") == rotated, 90, "the rotation", every=1)

    assert files_with(in_etcd, provider.etcd_data)[0]
    assert files_with(on_disk, provider.state)[0]
    # All that the node has written to its disk, etcd included; then all of the machine's that is new.
    for value in (mounted, rotated):
        for places in ([provider.state], ["/", "-xdev", "-newer", stamp]):
            holding, seen = files_with(value, *places)
            tell(f"{seen} files under {places[0]}, none of them with the value")
            assert holding == []
    # It is in a tmpfs, where the same scan sees it.
    assert files_with(rotated, provider.volume("scanned", namespace=app.namespace))[0]
    mounts = provider.run("cat", "/proc/mounts").stdout
    uid = provider.get("pod", "scanned", app.namespace)["metadata"]["uid"]
    assert f"tmpfs /var/lib/kubelet/pods/{uid}/volumes/kubernetes.io~csi/secrets/mount tmpfs" in mounts


# It waits for kubelet's two minutes.
@pytest.mark.measurement
def test_socket_in_another_folder_is_found_once_the_driver_is_restarted(provider, app):
    """In one that the driver looks into by itself, and in one that is added to the driver's."""
    app.secrets("shop", "- objectName: app/key\n  objectAlias: key\n")
    app.start("before", "shop")
    driver = ["daemonset", "-n", "kube-system", "-l", "app=secrets-store-csi-driver"]
    additional, own = "/etc/kubernetes/secrets-store-csi-providers", "/opt/providers"
    try:
        provider.install_provider({"linux": {"providersDir": additional}})
        noted = provider.helm("get", "notes", PROVIDER, "--namespace", "kube-system")
        assert "until it is restarted: kubectl rollout restart daemonset" in noted and additional not in noted, noted
        provider.apply(app.pod("additional", "shop"))
        # It keeps the path for as long as it runs, and waits there (waitForReady) for as long as kubelet lets it.
        with pytest.raises(Failed):
            provider.wait_ready("additional", app.namespace, 15)
        assert app.failures("additional") == []
        provider.kubectl("rollout", "restart", *driver)
        provider.kubectl("rollout", "status", *driver, "--timeout=120s")
        provider.wait_ready("additional", app.namespace, 150)
        assert app.read("additional", "key") == app.read("before", "key")

        provider.install_provider({"linux": {"providersDir": own}})
        noted = provider.helm("get", "notes", PROVIDER, "--namespace", "kube-system")
        assert f"must look for providers in {own}" in noted and f"was {additional}" in noted, noted
        folders = ["--reuse-values", "--set", f"linux.additionalProvidersDirs={{{additional},{own}}}"]
        provider.helm("upgrade", DRIVER_RELEASE, parts.chart("1.6.0"), "--namespace", "kube-system", "--no-hooks", *folders)
        provider.kubectl("rollout", "status", *driver, "--timeout=120s")
        app.start("own", "shop")
        assert app.read("own", "key") == app.read("before", "key")
    finally:
        # The next test has another driver.
        provider.uninstall_driver()
        provider.uninstall_provider()
