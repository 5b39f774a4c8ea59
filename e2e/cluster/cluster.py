"""A real single-node Kubernetes, from the outside."""

import contextlib
import ctypes
import fcntl
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import components, dns, images, node, parts, pki, readme, workloads

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
STATES = Path(tempfile.gettempdir()) / "csi-provider-e2e"

# As in cloud.yaml.
ACCOUNT = "1234567890123456"
PARTNER = "6543210987654321"
CLUSTER_ID = "c0123456789abcdef"
REGION = "cn-hangzhou"
CLONE_NEWNET = 0x40000000

DEPLOY = REPOSITORY / "deploy"
PROVIDER = "csi-secrets-store-provider-alibabacloud"
# As deploy/README.md names the releases.
DRIVER_RELEASE = "csi-secrets-store"

DRIVER_VALUES = {"1.6.0": "driver-values.yaml", "1.5.6": "driver-values-1.5.yaml", "1.4.6": "driver-values-1.5.yaml"}
# Users' older drivers poll every two minutes, longer than a test should wait.
INTERVALS = {"1.6.0": None, "1.5.6": "10s", "1.4.6": "10s"}


class Failed(Exception):
    pass


def children(pid):
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


class Process:
    """A program on the node, seen through the nsenter that started it."""

    def __init__(self, name, popen, log, began):
        self.name, self.popen, self.log, self.began = name, popen, log, began

    def ended(self):
        return self.popen.poll() is not None

    def output(self):
        """What it wrote: an earlier program of the same name wrote to the same log."""
        return self.log.read_bytes()[self.began :].decode(errors="replace")

    def tail(self, lines=15):
        return "\n".join(self.output().splitlines()[-lines:])

    def stop(self, timeout=10):
        for child in children(self.popen.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(timeout)
            return
        for child in children(self.popen.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        self.popen.wait(timeout)


class Cluster:
    def __init__(self, name=None, sync_frequency="10s", lifetime=3600, attached=True):
        """An attached node ends with the process that started it. sync_frequency None is kubelet's default of 1m."""
        self.name = name or str(os.getpid())
        self.state = STATES / self.name
        self.sync_frequency, self.lifetime, self.attached = sync_frequency, lifetime, attached
        self.processes = {}
        self.began = time.monotonic()
        self._supervisor = None
        self.emulator = None
        self._driver = None

    # Life

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        if kind:
            with contextlib.suppress(Exception):
                self.say(f"logs are in {self.collect()}")
        self.stop()

    def say(self, text):
        parts.say(f"{time.monotonic() - self.began:5.1f} s  {text}")

    def start(self):
        parts.setup()
        for image in (images.PAUSE, images.BUSYBOX):
            images.archive(image)
        self.began = time.monotonic()
        self.make_node()
        try:
            self._stand_up()
        except BaseException:
            with contextlib.suppress(Exception):
                parts.say(f"the node did not stand up: logs are in {self.collect()}")
            self.stop()
            raise
        return self

    def _claim(self):
        STATES.mkdir(parents=True, exist_ok=True)
        with open(STATES / ".starting", "w") as starting:
            fcntl.flock(starting, fcntl.LOCK_EX)
            node.sweep(STATES)
            # It stays locked in the supervisor and in all it starts.
            lock = open(STATES / f"{self.name}.lock", "a")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Failed(f"a node named {self.name} is running") from None
            # Root's own: it holds the cluster's keys.
            self.state.mkdir(mode=0o700)
            (self.state / "logs").mkdir()
        return lock

    def make_node(self):
        """Namespaces, mounts and addresses, with nothing of Kubernetes in them yet."""
        lock = self._claim()
        attached = "attached" if self.attached else "detached"
        command = [sys.executable, HERE / "node.py", "supervise", self.state, lock.fileno(), self.lifetime, attached]
        with open(self.state / "logs" / "node.log", "w+") as log:
            self._supervisor = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.PIPE if self.attached else subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(lock.fileno(),),
                start_new_session=True,
            )
            lock.close()

            def made():
                if self._supervisor.poll() is not None:
                    log.seek(0)
                    raise Failed(log.read())
                return (self.state / "node.json").exists()

            self.wait_for(made, 10, "the node's namespaces", every=0.01)
        self.say("namespaces")

    def _stand_up(self):
        state = self.state
        with ThreadPoolExecutor() as pool:
            self.spawn("etcd", *components.etcd(state))
            self.spawn("containerd", *components.containerd(state))
            self.spawn("dns", *components.dns(state))
            pki.create(state / "pki")
            self.spawn("kube-apiserver", *components.apiserver(state))
            imported = pool.submit(self.import_images, images.PAUSE, images.BUSYBOX)
            self.wait_for(lambda: self.kubectl("get", "--raw", "/readyz") == "ok", 60, "the API server")
            self.say("API server ready")
            self.spawn("kube-controller-manager", *components.controller_manager(state))
            self.spawn("kube-scheduler", *components.scheduler(state))
            imported.result()
            self.spawn("kubelet", *components.kubelet(state, self.sync_frequency, f"/{node.PREFIX}{self.name}"))
        self.wait_for(lambda: self.get("node", node.NODE), 60, "the node's registration")
        self.kubectl("wait", "--for=condition=Ready", f"node/{node.NODE}", "--timeout=60s")
        self.say("node Ready")
        self.wait_for(lambda: self.get("serviceaccount", "default"), 60, "the default service account")
        self.say("first pods may start")

    @classmethod
    def attach(cls, name="up"):
        """A node that another process started."""
        cluster = cls(name)
        if not cluster._supervised():
            raise Failed(f"no node named {name} is running")
        return cluster

    def stop(self):
        processes, self.processes = self.processes, {}
        supervisor, self._supervisor = self._supervisor, None
        if supervisor:
            supervisor.terminate()
            supervisor.wait(30)
        elif self._supervised():
            os.kill(self.supervisor, signal.SIGTERM)
            self.wait_for(lambda: not self._supervised(), 30, "the node's end")
        # A killed supervisor leaves the state, and its node needs a moment to end.
        self.wait_for(lambda: node.sweep(STATES) or not self.state.exists(), 30, "the node's end")
        for process in processes.values():
            process.popen.wait(10)
        self.say("stopped")

    def _supervised(self):
        # A supervisor that was killed leaves its number, which may be another program's by now.
        try:
            return str(self.state) in Path(f"/proc/{self.supervisor}/cmdline").read_text().split("\0")
        except OSError:
            return False

    # The node

    @property
    def init(self):
        return json.loads((self.state / "node.json").read_text())["init"]

    @property
    def supervisor(self):
        return json.loads((self.state / "node.json").read_text())["supervisor"]

    @property
    def root(self):
        """The node's file system, mounts of pods included, as seen from outside."""
        return Path(f"/proc/{self.init}/root")

    @property
    def etcd_data(self):
        return self.state / "etcd"

    @property
    def logs(self):
        return self.state / "logs"

    @property
    def kubeconfig(self):
        return self.state / "pki" / "admin.kubeconfig"

    @property
    def environment(self):
        paths = (parts.folder(parts.KUBERNETES_MODULE) / "bin", parts.folder("helm") / "bin", parts.path_with_sbin())
        # No proxy of the machine's leads to the node.
        kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        return {
            **kept,
            "KUBECONFIG": str(self.kubeconfig),
            "PATH": ":".join(map(str, paths)),
            # The usual one is by address, and so would be that of every node before this one.
            "KUBECACHEDIR": f"{self.state}/kube-cache",
            "HELM_CACHE_HOME": f"{self.state}/helm",
            "HELM_CONFIG_HOME": f"{self.state}/helm",
            "HELM_DATA_HOME": f"{self.state}/helm",
        }

    def inside(self, *command, network_only=False):
        """The command line that runs a program on the node."""
        namespaces = ["--net"] if network_only else ["--net", "--mount", "--pid", "--ipc", "--uts"]
        return ["nsenter", f"--target={self.init}", *namespaces, "--", *map(str, command)]

    def run(self, *command, input=None, check=True, network_only=False, timeout=300, text=True):
        done = subprocess.run(
            self.inside(*command, network_only=network_only),
            env=self.environment,
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=text,
            timeout=timeout,
        )
        if check and done.returncode:
            errors = done.stderr if text else done.stderr.decode(errors="replace")
            raise Failed(f"{' '.join(map(str, command))}: exit {done.returncode}: {errors.strip()}")
        return done

    def spawn(self, name, *command, env=None):
        """A program that runs on the node until the node ends or it is stopped."""
        log = self.logs / f"{name}.log"
        with open(log, "ab") as output:
            began = output.tell()
            popen = subprocess.Popen(
                self.inside(*command),
                env={**self.environment, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.processes[name] = process = Process(name, popen, log, began)
        return process

    def connect(self, host, port):
        """A TCP connection from the node's network."""

        def connected():
            # Only this thread changes its network, and it ends at once.
            with open(f"/proc/{self.init}/ns/net") as namespace:
                libc = ctypes.CDLL(None, use_errno=True)
                if libc.setns(namespace.fileno(), CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
            return socket.create_connection((host, port), timeout=30)

        with ThreadPoolExecutor(1) as pool:
            return pool.submit(connected).result()

    def http(self, method, host, port, path, body=None, headers=None):
        """A plain HTTP request from the node's network: (status, body)."""
        connection = http.client.HTTPConnection(host, port, timeout=30)
        connection.sock = self.connect(host, port)
        with contextlib.closing(connection):
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()

    def wait_for(self, condition, timeout=60, what=None, every=0.1):
        """Waits until condition() is true, and returns what it returned."""
        what = what or getattr(condition, "__name__", "the condition")
        deadline = time.monotonic() + timeout
        last = None
        while time.monotonic() < deadline:
            for process in self.processes.values():
                if process.ended() and self.state.exists():
                    raise Failed(f"{process.name} ended while waiting for {what}:\n{process.tail()}")
            if self._supervisor and self._supervisor.poll() is not None and self.state.exists():
                raise Failed(f"the node ended while waiting for {what}")
            try:
                if value := condition():
                    return value
                last = value
            except (Failed, OSError, json.JSONDecodeError) as error:
                last = error
            time.sleep(every)
        raise Failed(f"{what}: not within {timeout} s; last: {last}")

    def set_dns(self, mode=dns.ORDINARY):
        """How the cluster's DNS answers from now on: dns.ORDINARY, or one of dns.HOSTILE."""
        file = components.dns_mode(self.state)
        fresh = file.with_suffix(".new")
        fresh.write_text(mode)
        fresh.rename(file)

    def dns_questions(self, mode):
        """Lines about what the DNS was asked in a mode, and what it answered."""
        lines = self.processes["dns"].output().splitlines()
        return [line.removeprefix(f"{mode}: ") for line in lines if line.startswith(f"{mode}: ")]

    # Kubernetes

    def kubectl(self, *arguments, input=None, check=True):
        command = (parts.binary(parts.KUBERNETES_MODULE, "kubectl"), *arguments)
        return self.run(*command, input=input, check=check, network_only=True).stdout

    def get(self, kind, name=None, namespace="default", selector=None):
        """One object as a dictionary, or None; without a name a list."""
        arguments = ["get", kind, "-n", namespace, "-o", "json"]
        if name:
            found = self.kubectl(*arguments, name, "--ignore-not-found")
            return json.loads(found) if found else None
        return json.loads(self.kubectl(*arguments, *(["-l", selector] if selector else [])))["items"]

    def apply(self, *objects):
        """Each is YAML text or a dictionary."""
        text = "\n---\n".join(item if isinstance(item, str) else json.dumps(item) for item in objects)
        return self.kubectl("apply", "-f", "-", input=text)

    def delete(self, kind, name, namespace="default", timeout=60):
        """Returns when it is gone."""
        self.kubectl("delete", kind, name, "-n", namespace, "--ignore-not-found", f"--timeout={timeout}s")

    def wait_gone(self, namespace, selector):
        self.wait_for(lambda: not self.get("pods", namespace=namespace, selector=selector), 60, f"the end of {selector}")

    @contextlib.contextmanager
    def namespace(self, name):
        """A namespace with its default service account, for one test."""
        self.apply(workloads.namespace(name))
        self.wait_for(lambda: self.get("serviceaccount", "default", name), 30, f"the service account of {name}")
        try:
            yield name
        finally:
            # The namespace itself takes five seconds more, which nobody needs to wait for.
            self.kubectl("delete", "pods", "--all", "-n", name, "--timeout=60s")
            self.kubectl("delete", "namespace", name, "--wait=false")

    def wait_ready(self, pod, namespace="default", timeout=60):
        """Until the pod is Ready; the failure says what its events say."""
        condition = f"pod {namespace}/{pod} is Ready"
        try:
            self.kubectl("wait", "--for=condition=Ready", f"pod/{pod}", "-n", namespace, f"--timeout={timeout}s")
        except Failed as error:
            told = "\n".join(f"{event['reason']}: {event['message']}" for event in self.events(namespace, pod))
            raise Failed(f"{condition}: not within {timeout} s\n{told}") from error

    def exec(self, pod, *command, namespace="default", container=None):
        where = ["-n", namespace] + (["-c", container] if container else [])
        return self.kubectl("exec", *where, pod, "--", *command)

    def read(self, pod, path, namespace="default"):
        """The bytes that the pod's own process would read."""
        command = (parts.binary(parts.KUBERNETES_MODULE, "kubectl"), "exec", "-n", namespace, pod, "--", "/bin/cat", path)
        return self.run(*command, network_only=True, text=False).stdout

    def listing(self, pod, path=workloads.MOUNT, namespace="default"):
        """What the pod sees in a folder, without the writer's own ..data entries."""
        names = self.exec(pod, "/bin/ls", "-A", path, namespace=namespace).split()
        return sorted(name for name in names if not name.startswith(".."))

    def volume(self, pod, name="secrets", namespace="default"):
        """A pod's CSI volume on the node."""
        uid = self.get("pod", pod, namespace)["metadata"]["uid"]
        return self.root / f"var/lib/kubelet/pods/{uid}/volumes/kubernetes.io~csi/{name}/mount"

    def events(self, namespace="default", name=None, reason=None):
        def wanted(event):
            return (not name or event["involvedObject"].get("name") == name) and (not reason or event["reason"] == reason)

        return [event for event in self.get("events", namespace=namespace) if wanted(event)]

    def pod_logs(self, selector, namespace, container=None):
        chosen = ["-c", container] if container else ["--all-containers"]
        return self.kubectl("logs", "-n", namespace, "-l", selector, "--tail=-1", *chosen)

    def jwks(self):
        """The keys that verify service account tokens."""
        return self.kubectl("get", "--raw", "/openid/v1/jwks")

    def kubelet_metric(self, name, *labels):
        """The sum of a kubelet metric's samples that carry all the labels, such as 'method_name="..."'."""
        total = 0.0
        for line in self.kubectl("get", "--raw", f"/api/v1/nodes/{node.NODE}/proxy/metrics").splitlines():
            if line.startswith(f"{name}{{") and all(label in line for label in labels):
                total += float(line.rpartition(" ")[2])
        return total

    # Images and charts

    def import_archive(self, archive):
        self.run("ctr", "-a", components.CONTAINERD, "-n", "k8s.io", "images", "import", archive)

    def import_by_digest(self, archive, repository):
        """As repository@digest, which is how a pod names it."""
        names = ["--base-name", repository, "--digests"]
        self.run("ctr", "-a", components.CONTAINERD, "-n", "k8s.io", "images", "import", *names, archive)

    def import_images(self, *names):
        """The node's own images, by the names that charts use."""
        self.wait_for(lambda: (self.root / components.CONTAINERD.lstrip("/")).is_socket(), 30, "containerd")
        for name in names:
            self.import_archive(images.archive(name))

    def build_image(self, context, tag, dockerfile=None):
        """Builds context/Dockerfile (or another one) and puts the image on the node under the tag."""
        with tempfile.TemporaryDirectory(prefix="image-") as folder:
            archive = images.build(context, tag, Path(folder, "image.tar"), dockerfile)
            self.import_archive(archive)

    def helm(self, *arguments, input=None):
        return self.run(parts.binary("helm", "helm"), *arguments, input=input, network_only=True).stdout

    def chart_images(self, chart, *values, hooks=False):
        options = ["--kube-version", parts.KUBERNETES, *self.value_flags(values), *([] if hooks else ["--no-hooks"])]
        rendered = self.helm("template", "x", chart, *options)
        found = set(re.findall(r'^\s*(?:- )?"?image"?: "?([^"\s,]+)', rendered, re.MULTILINE))
        if not found:
            raise Failed(f"{chart} names no image")
        return sorted(found)

    def value_flags(self, values):
        """Files as they are, and dictionaries as files, where the later win."""
        flags = []
        for number, given in enumerate(values):
            if isinstance(given, dict):
                text, given = json.dumps(given), self.state / f"values-{number}.json"
                given.write_text(text)
            flags += ["--values", given]
        return flags

    def install_chart(self, release, chart, namespace, *values, timeout=120):
        """Installs and waits for every DaemonSet of the release to be ready."""
        options = ["--no-hooks", "--namespace", namespace, "--create-namespace"]
        self.helm("upgrade", "--install", release, chart, *options, *self.value_flags(values))
        for found in self.get("daemonsets", namespace=namespace):
            if found["metadata"].get("annotations", {}).get("meta.helm.sh/release-name") == release:
                self.rollout(f"daemonset/{found['metadata']['name']}", namespace, timeout)

    def rollout(self, what, namespace, timeout=120):
        self.kubectl("rollout", "status", what, "-n", namespace, f"--timeout={timeout}s")

    def install_driver(self, version=parts.DRIVER, rotation_poll_interval=""):
        """The driver from its own chart, with the values that deploy/ has for it.

        An interval of None is the chart's own default.
        """
        parts.build(f"driver-{version}")
        wanted = {"syncSecret": {"enabled": True}}
        if rotation_poll_interval == "":
            rotation_poll_interval = INTERVALS[version]
            if rotation_poll_interval:
                wanted["rotationPollInterval"] = rotation_poll_interval
        else:
            # null removes what the file says.
            wanted["rotationPollInterval"] = rotation_poll_interval
        if self._driver == (version, wanted):
            return
        self.uninstall_driver()
        chart, values = parts.chart(version), DEPLOY / DRIVER_VALUES[version]
        self.import_images(*self.chart_images(chart, values, wanted))
        self.install_chart(DRIVER_RELEASE, chart, "kube-system", values, wanted)
        self.wait_for_driver()
        self._driver = (version, wanted)
        self.say(f"driver {version} ready")

    def wait_for_driver(self):
        def registered():
            drivers = self.get("csinode", node.NODE)["spec"]["drivers"] or []
            return any(driver["name"] == workloads.DRIVER for driver in drivers)

        self.wait_for(registered, 60, "the driver's registration with kubelet")

    def uninstall_driver(self):
        self.helm("uninstall", DRIVER_RELEASE, "-n", "kube-system", "--wait", "--no-hooks", "--ignore-not-found")
        self.wait_gone("kube-system", "app=secrets-store-csi-driver")
        self._driver = None

    def install_double(self, mode="constant", namespace="provider-double"):
        """A provider that answers every mount with the same bytes: see tools/driver-1.6.0/provider-double."""
        self.remove_double(namespace)
        self.import_images(images.DOUBLE)
        self.apply(workloads.namespace(namespace))
        self.apply(workloads.provider_double(mode, namespace))
        self.rollout("daemonset/provider-double", namespace)

    def remove_double(self, namespace="provider-double"):
        self.delete("daemonset", "provider-double", namespace)
        self.wait_gone(namespace, "app=provider-double")

    def double_calls(self, pod=None, namespace="provider-double"):
        """The double's mounts, from its log."""
        pattern = re.compile(r"^(\S+ \S+) mount pod=(\S*) uid=(\S*) audiences=(\S*) failed=(\S+)$", re.MULTILINE)
        calls = [
            {"time": when, "pod": name, "uid": uid, "audiences": audiences.split(","), "failed": failed == "true"}
            for when, name, uid, audiences, failed in pattern.findall(self.pod_logs("app=provider-double", namespace))
        ]
        return [call for call in calls if pod in (None, call["pod"])]

    # The provider

    def import_provider_image(self):
        """Once per node: from deploy/image, under the name that provider_values give."""
        if not self.provider_image.exists():
            self.import_archive(images.provider(self.provider_image))

    @property
    def provider_image(self):
        return self.state / "provider-image.tar"

    def provider_values(self):
        """What an operator would set for this cluster and its cloud."""
        return {
            "linux": {"image": {"repository": images.PROVIDER}},
            "regionId": REGION,
            "rrsa": {"accountId": ACCOUNT, "clusterId": CLUSTER_ID},
            "caFile": {"configMap": "cloud-ca"},
            # Most tests are about what the cloud answers.
            "refreshInterval": "0",
        }

    def install_provider(self, values=None, namespace="kube-system"):
        """Our provider from its own chart; the emulator must run."""
        self.import_provider_image()
        self.trust_the_cloud(namespace)
        self.install_chart(PROVIDER, DEPLOY / "chart", namespace, self.provider_values(), values or {})
        self.say(f"provider ready {json.dumps(values) if values else ''}")

    def trust_the_cloud(self, namespace="kube-system"):
        self.apply(workloads.config_map("cloud-ca", {"ca.crt": self.cloud_ca}, namespace))

    def uninstall_provider(self, namespace="kube-system"):
        self.helm("uninstall", PROVIDER, "-n", namespace, "--wait", "--ignore-not-found")
        self.wait_gone(namespace, f"app.kubernetes.io/name={PROVIDER}")

    def provider_pids(self):
        """The provider's processes, numbered as outside of the node."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                runs = os.readlink(folder / "exe") == f"/{PROVIDER}"
                if runs and f"/{node.PREFIX}{self.name}/" in (folder / "cgroup").read_text():
                    found.append(int(folder.name))
        return found

    def restart_provider(self, namespace="kube-system"):
        """A new process, which remembers nothing."""
        selector = f"app.kubernetes.io/name={PROVIDER}"
        self.kubectl("delete", "pods", "-n", namespace, "-l", selector, "--timeout=60s")
        # The DaemonSet's status may still be that of the pod before.
        self.wait_for(lambda: self.get("pods", namespace=namespace, selector=selector), 60, "the provider's next pod")
        self.kubectl("wait", "--for=condition=Ready", "pods", "-n", namespace, "-l", selector, "--timeout=60s")

    def provider_logs(self, namespace="kube-system"):
        return self.pod_logs(f"app.kubernetes.io/name={PROVIDER}", namespace)

    def provider_metric(self, name, namespace="kube-system"):
        """The sum of a metric's samples."""
        full = f"csi_provider_alibabacloud_{name}"
        lines = [line.rpartition(" ") for line in self.provider_metrics(namespace).splitlines()]
        return sum(float(value) for key, _, value in lines if key.partition("{")[0] == full)

    def provider_metrics(self, namespace="kube-system"):
        """What the provider's pod tells Prometheus."""
        pods = self.get("pods", namespace=namespace, selector=f"app.kubernetes.io/name={PROVIDER}")
        address = next(pod["status"]["podIP"] for pod in pods if not pod["metadata"].get("deletionTimestamp"))
        return self.http("GET", address, 8989, "/metrics")[1].decode()

    # The cloud

    def start_emulator(self, config=None, binary=None):
        """The cloud emulator, on the cloud's and the metadata service's addresses. Returns its line of addresses.

        Without a configuration the cloud is the one of cloud.yaml.

        In the configuration, {issuer}, {jwks_url}, {ca_file} and {token_file} stand for what an OIDC provider
        needs to verify the tokens of this cluster against its own API server; {readme_trust} and {readme_policy}
        for the documents of the README's first example.
        """
        self.emulator = binary or parts.emulator()
        folder = self.state / "emulator"
        folder.mkdir()
        (folder / "token").write_text(self.kubectl("create", "token", "default", "-n", "kube-system", "--duration=24h").strip())
        values = {
            "issuer": components.ISSUER,
            "jwks_url": f"https://{node.API}/openid/v1/jwks",
            "ca_file": self.state / "pki" / "ca.crt",
            "token_file": folder / "token",
            "readme_trust": readme.trust(components.ISSUER),
            "readme_policy": readme.policy(),
        }
        config = config or (HERE / "cloud.yaml").read_text()
        for name, value in values.items():
            config = config.replace(f"{{{name}}}", str(value))
        (folder / "config.yaml").write_text(config)
        process = self.spawn(
            "emulator", self.emulator, "--config", folder / "config.yaml", "--ca-dir", folder / "ca", "--log",
            "--listen", f"{node.CLOUD}:443", "--http-listen", f"{node.CLOUD}:80", "--metadata-listen", f"{node.METADATA}:80",
        )  # fmt: skip

        def ready():
            return next((json.loads(line) for line in process.output().splitlines() if line.startswith("{")), None)

        addresses = self.wait_for(ready, 20, "the emulator")
        self.say("cloud ready")
        return addresses

    @property
    def cloud_ca(self):
        """The certificate authority of the emulated cloud, in PEM."""
        return (self.state / "emulator" / "ca" / "ca.pem").read_text()

    def ctl(self, *arguments):
        """Steers the emulator, or asks it what happened: alibabacloud-emulator ctl --help."""
        return self.run(self.emulator, "ctl", *arguments, network_only=True).stdout

    def requests(self, **wanted):
        """What the cloud was asked, by the fields of the emulator's records."""
        found = json.loads(self.ctl("requests", "--json"))
        return [request for request in found if all(request[name] == value for name, value in wanted.items())]

    def reads(self, pod, namespace="default"):
        """A pod's requests for secrets, by the session that each pod has to itself."""
        return [
            request
            for request in self.requests()
            if request["service"] in ("kms", "oos")
            and ((request["principal"] or {}).get("session_name") or "").split("@")[::2] == [namespace, pod]
        ]

    def stop_emulator(self):
        self.processes.pop("emulator").stop()
        shutil.rmtree(self.state / "emulator")

    # What went wrong

    def collect(self, folder=None):
        """Copies everything that tells what happened. Returns the folder."""
        default = os.environ.get("E2E_LOGS") or REPOSITORY / "target" / "e2e-logs"
        folder = Path(folder or Path(default) / f"{time.strftime('%Y%m%d-%H%M%S')}-{self.name}")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copytree(self.logs, folder / "node", dirs_exist_ok=True)
        with contextlib.suppress(OSError):
            shutil.copytree(self.root / "var/log/pods", folder / "pods", dirs_exist_ok=True)
        for name, command in {
            "objects.txt": ["get", "all,csidriver,csinode,secretproviderclasses,secretproviderclasspodstatuses", "-A", "-o", "wide"],
            "events.txt": ["get", "events", "-A", "--sort-by=.metadata.creationTimestamp"],
            "pods.txt": ["describe", "pods", "-A"],
        }.items():
            with contextlib.suppress(Exception):
                (folder / name).write_text(self.kubectl(*command, check=False))
        return folder
