import shutil

from cluster import parts, workloads
from cluster.node import CLOUD, DNS, SEARCH


def test_a_pod_runs(cluster, namespace):
    cluster.apply(workloads.pod("plain", namespace))
    cluster.wait_ready("plain", namespace)
    assert cluster.exec("plain", "/bin/id", "-u", namespace=namespace).strip() == "0"


def test_a_cloud_host_name_is_the_clouds_address_in_a_pod(cluster, namespace):
    cluster.apply(workloads.pod("plain", namespace))
    cluster.wait_ready("plain", namespace)
    answer = cluster.exec("plain", "/bin/nslookup", "kms.cn-hangzhou.aliyuncs.com", namespace=namespace)
    assert f"Address: {CLOUD}" in answer


def test_a_pod_has_the_resolver_configuration_that_kubelet_gives(cluster, namespace):
    cluster.apply(workloads.pod("plain", namespace))
    cluster.wait_ready("plain", namespace)
    lines = cluster.read("plain", "/etc/resolv.conf", namespace).decode().splitlines()
    searched = f"{namespace}.svc.cluster.local svc.cluster.local cluster.local {SEARCH}"
    assert sorted(lines) == [f"nameserver {DNS}", "options ndots:5", f"search {searched}"]


def test_a_pod_reaches_the_api_server(cluster, namespace):
    cluster.apply(workloads.pod("plain", namespace))
    cluster.wait_ready("plain", namespace)
    cluster.exec("plain", "/bin/nc", "-w", "5", "kubernetes.default.svc", "443", "-e", "/bin/true", namespace=namespace)


def test_an_image_built_from_scratch_runs(cluster, namespace, tmp_path):
    shutil.copy(parts.program("busybox"), tmp_path / "cat")
    (tmp_path / "greeting").write_text("from this image\n")
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY cat /bin/cat\nCOPY greeting /greeting\n")
    cluster.build_image(tmp_path, "localhost/e2e/greeting:1")
    pod = workloads.pod("greeter", namespace, command=["/bin/cat", "/greeting"])
    pod["spec"]["containers"][0]["image"] = "localhost/e2e/greeting:1"
    pod["spec"]["restartPolicy"] = "Never"
    cluster.apply(pod)
    cluster.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/greeter", "-n", namespace, "--timeout=60s")
    assert cluster.kubectl("logs", "-n", namespace, "greeter") == "from this image\n"
