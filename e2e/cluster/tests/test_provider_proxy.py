"""The provider behind an HTTP proxy, tinyproxy: the cloud's public hosts are called through it and no other way."""

import re

import pytest
from conftest import App

from cluster import node, parts, workloads

PORT = 3128
PROXY = f"{node.ADDRESS}:{PORT}"
USER, PASSWORD = "provider", "quiet-harbour-47"

OBJECTS = """
- objectName: app/key
  objectAlias: key
- objectName: /app/password
  objectType: oos
  objectAlias: password
"""

CONFIG = f"""
Port {PORT}
Listen {node.ADDRESS}
LogLevel Connect
BasicAuth {USER} {PASSWORD}
ConnectPort 443
"""


class Proxy:
    def __init__(self, cluster):
        self.cluster, self.starts = cluster, 0
        self.config = cluster.state / "tinyproxy.conf"
        self.config.write_text(CONFIG)
        self.start()

    def start(self):
        self.starts += 1
        self.name = f"tinyproxy-{self.starts}"
        self.process = self.cluster.spawn(self.name, parts.program("tinyproxy"), "-d", "-c", self.config)
        self.cluster.wait_for(lambda: self.cluster.connect(node.ADDRESS, PORT), 10, "the proxy")

    def stop(self):
        if process := self.cluster.processes.pop(self.name, None):
            process.stop()

    def hosts(self):
        """Those that it was asked to connect to."""
        return re.findall(r"Request .*: CONNECT (\S+) HTTP/1.1", self.process.output())


@pytest.fixture
def proxy(cloud):
    running = Proxy(cloud)
    yield running
    running.stop()


@pytest.fixture
def proxied(proxy, cloud):
    cloud.remove_double()
    cloud.install_driver()
    cloud.apply(workloads.secret("proxy", {"url": f"http://{USER}:{PASSWORD}@{PROXY}"}, "kube-system"))
    cloud.install_provider({"endpoints": {"public": True}, "proxy": {"secret": "proxy"}})
    yield cloud
    cloud.delete("secret", "proxy", "kube-system")


def test_a_pod_mounts_through_a_proxy_and_no_other_way(proxied, proxy, namespace, tell):
    app = App(proxied, namespace)
    app.secrets("shop", OBJECTS)
    app.start("shop", "shop")
    assert app.read("shop", "key") == "paper-falcon-19"
    assert app.read("shop", "password") == "gentle-thunder-36"
    hosts = proxy.hosts()
    tell(f"tinyproxy connected to {', '.join(sorted(set(hosts)))}")
    # Not to instance metadata nor to the API server, which the provider asked too.
    assert set(hosts) == {f"{service}.cn-hangzhou.aliyuncs.com:443" for service in ("kms", "oos", "sts")}
    logs = proxied.provider_logs()
    assert f'proxy="{PROXY}"' in logs and PASSWORD not in logs

    proxy.stop()
    proxied.restart_provider()
    proxied.apply(app.pod("without", "shop"))
    message = proxied.wait_for(lambda: next(iter(app.failures("without")), None), 130, "a mount that fails")
    tell(f"without the proxy: {message}")
    assert "the proxy cannot be reached" in message and "--https-proxy" in message and PASSWORD not in message
    proxy.start()
    proxied.wait_ready("without", app.namespace, 150)
