import pytest

CONSTANT = b"constant bytes\n"


@pytest.fixture(scope="module", autouse=True)
def no_provider(cluster):
    cluster.uninstall_provider()


# By module, so that the tests of one version run together: changing the driver takes seconds.
@pytest.fixture(scope="module", params=["1.6.0", "1.5.6"])
def version(request):
    return request.param


def answered(cluster, pod):
    """The double's calls of the pod: failed or not, in order."""
    return [call["failed"] for call in cluster.double_calls(pod)]


def test_a_pod_reads_the_bytes_of_the_provider(cluster, reader, namespace, version):
    cluster.install_driver(version)
    cluster.install_double("constant")
    pod = reader()
    assert cluster.listing(pod, namespace=namespace) == ["constant"]
    assert cluster.read(pod, "/secrets/constant", namespace) == CONSTANT
    assert (cluster.volume(pod, namespace=namespace) / "constant").read_bytes() == CONSTANT


def test_the_provider_gets_the_pods_token_for_the_cloud(cluster, reader, namespace, version):
    cluster.install_driver(version)
    cluster.install_double("constant")
    pod = reader()
    assert cluster.double_calls(pod)[0]["audiences"] == ["sts.aliyuncs.com"]


def test_deadline_exceeded_starts_the_pod_empty_with_the_default_interval(cluster, reader, namespace):
    """The driver's trap: its retry is skipped as not yet due, with nothing mounted."""
    cluster.install_driver("1.6.0", rotation_poll_interval=None)
    cluster.install_double("deadline-exceeded-first")
    pod = reader()
    assert answered(cluster, pod) == [True]
    assert cluster.listing(pod, namespace=namespace) == []


def test_deadline_exceeded_is_retried_with_an_interval_of_100ms(cluster, reader, namespace):
    cluster.install_driver("1.6.0", rotation_poll_interval="100ms")
    cluster.install_double("deadline-exceeded-first")
    pod = reader()
    assert answered(cluster, pod)[:2] == [True, False]
    assert cluster.read(pod, "/secrets/constant", namespace) == CONSTANT


def test_an_unchanged_volume_is_mounted_again(cluster, reader, namespace, version):
    """1.6.0 with each republish of kubelet's, 1.5.6 when it polls."""
    cluster.install_driver(version)
    cluster.install_double("constant")
    pod = reader()
    cluster.wait_for(lambda: len(cluster.double_calls(pod)) >= 2, 60, "a second mount of the same volume", every=1)
