import json

import pytest
from conftest import APP_ROLE

from cluster import Failed, workloads
from cluster.cluster import ACCOUNT, CLUSTER_ID
from cluster.node import METADATA

PROVIDER = f"acs:ram::{ACCOUNT}:oidc-provider/ack-rrsa-{CLUSTER_ID}"


def pod_with_token(cluster, namespace, service_account):
    cluster.kubectl("create", "serviceaccount", service_account, "-n", namespace)
    token = {"serviceAccountToken": {"path": "token", "audience": "sts.aliyuncs.com"}}
    volume = {"name": "token", "projected": {"sources": [token]}}
    cluster.apply(workloads.pod(service_account, namespace, [volume], service_account))
    cluster.wait_ready(service_account, namespace)
    return service_account


def assume_role(cluster, namespace, pod):
    query = {
        "Action": "AssumeRoleWithOIDC",
        "Version": "2015-04-01",
        "Format": "JSON",
        "OIDCProviderArn": PROVIDER,
        "RoleArn": APP_ROLE,
        "RoleSessionName": "e2e",
        "Timestamp": "2026-01-01T00:00:00Z",
        "SignatureNonce": pod,
    }
    body = "&".join(f"{name}={value}" for name, value in query.items())
    script = f'wget -q -O - --post-data "{body}&OIDCToken=$(cat /token/token)" http://sts.cn-hangzhou.aliyuncs.com/'
    return json.loads(cluster.exec(pod, "/bin/sh", "-c", script, namespace=namespace))


def test_the_cloud_takes_a_pods_token_for_its_role(cloud, namespace):
    pod = pod_with_token(cloud, namespace, "app")
    assert assume_role(cloud, namespace, pod)["AssumedRoleUser"]["Arn"] == f"acs:ram::{ACCOUNT}:assumed-role/app/e2e"


def test_the_cloud_refuses_the_token_of_another_service_account(cloud, namespace):
    pod = pod_with_token(cloud, namespace, "stranger")
    with pytest.raises(Failed, match=r"HTTP/1.1 40[13]"):
        assume_role(cloud, namespace, pod)


def test_a_pod_reaches_instance_metadata(cloud, namespace):
    cloud.apply(workloads.pod("plain", namespace))
    cloud.wait_ready("plain", namespace)
    with pytest.raises(Failed, match=r"HTTP/1.1 4"):
        cloud.exec("plain", "/bin/wget", "-O", "-", f"http://{METADATA}/latest/meta-data/", namespace=namespace)


def test_the_clouds_certificate_authority_signs_its_hosts(cloud):
    assert "BEGIN CERTIFICATE" in cloud.cloud_ca
    command = ["openssl", "s_client", "-connect", "kms.cn-hangzhou.aliyuncs.com:443", "-verify_return_error"]
    cloud.run(*command, "-CAfile", cloud.state / "emulator" / "ca" / "ca.pem", "-verify_hostname", "kms.cn-hangzhou.aliyuncs.com", input="")
