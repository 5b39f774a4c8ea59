"""A double of secrets-store-sync-controller: for each SecretSync the same requests, one after another, and a real Secret.

    sync_controller.py PROTO SOCKET POD-NAME POD-UID AUDIENCE

Runs on the node, with kubectl in PATH. As the controller does: one worker; a token of the SecretSync's own ServiceAccount
for one audience and 600 s, kept until four fifths of that are over; a Mount without a deadline; the Secret by server-side
apply; what failed again after 5 ms, 10 ms and so on. It looks for changes where the controller watches.
"""

import base64
import datetime
import json
import subprocess
import sys
import time

import grpc

MANAGER = "secrets-store-sync-controller"
LOOK_EVERY = 0.3
TOKEN_SECONDS = 600


def kubectl(*arguments, input=None):
    done = subprocess.run(["kubectl", *arguments], input=input, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return done.stdout


def go_json(value):
    """As Go writes it: keys sorted, no blanks, and what HTML could take for its own escaped."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


class Tokens:
    def __init__(self, audience):
        self.audience, self.kept = audience, {}

    def attribute(self, namespace, account):
        until, status = self.kept.get((namespace, account), (0, None))
        if time.monotonic() >= until:
            request = {
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenRequest",
                "spec": {"audiences": [self.audience], "expirationSeconds": TOKEN_SECONDS},
            }
            path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
            status = json.loads(kubectl("create", "--raw", path, "-f", "-", input=json.dumps(request)))["status"]
            self.kept[namespace, account] = (time.monotonic() + 0.8 * TOKEN_SECONDS, status)
        return go_json({self.audience: {"token": status["token"], "expirationTimestamp": status["expirationTimestamp"]}})


class Controller:
    def __init__(self, proto, socket, pod, uid, audience):
        messages, services = grpc.protos_and_services(proto)
        self.messages = messages
        self.provider = services.CSIDriverProviderStub(grpc.insecure_channel(f"unix:{socket}"))
        self.pod, self.uid, self.tokens = pod, uid, Tokens(audience)

    def files(self, sync):
        spec, namespace = sync["spec"], sync["metadata"]["namespace"]
        name = spec["secretProviderClassName"]
        found = json.loads(kubectl("get", "secretproviderclass", name, "-n", namespace, "-o", "json"))
        account = spec["serviceAccountName"]
        attributes = {
            **found["spec"].get("parameters", {}),
            "csi.storage.k8s.io/pod.name": self.pod,
            "csi.storage.k8s.io/pod.uid": self.uid,
            "csi.storage.k8s.io/pod.namespace": namespace,
            "csi.storage.k8s.io/serviceAccount.name": account,
            "csi.storage.k8s.io/serviceAccount.tokens": self.tokens.attribute(namespace, account),
        }
        request = self.messages.MountRequest(
            attributes=go_json(attributes), secrets="{}", target_path="/mnt/secrets-store", permission="420"
        )
        answer = self.provider.Mount(request)
        if not answer.object_version or not all(entry.version for entry in answer.object_version):
            raise RuntimeError("the provider gave no versions")
        return {file.path: file.contents for file in answer.files}

    def reconcile(self, sync):
        metadata, wanted = sync["metadata"], sync["spec"]["secretObject"]
        files = self.files(sync)
        data = {}
        for entry in wanted["data"]:
            if entry["sourcePath"] not in files:
                raise RuntimeError(f"file matching sourcePath {entry['sourcePath']} not found")
            data[entry["targetKey"]] = base64.b64encode(files[entry["sourcePath"]]).decode()
        owner = {"apiVersion": sync["apiVersion"], "kind": sync["kind"], "name": metadata["name"], "uid": metadata["uid"]}
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": wanted["type"],
            "metadata": {
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "labels": {"secrets-store.sync.x-k8s.io": ""},
                "ownerReferences": [owner],
            },
            "data": data,
        }
        kubectl("apply", "--server-side", f"--field-manager={MANAGER}", "-f", "-", input=json.dumps(secret))

    def tell(self, sync, status, reason, message):
        metadata = sync["metadata"]
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        condition = {
            "type": "SecretCreated", "status": status, "reason": reason, "message": message, "lastTransitionTime": now,
            "observedGeneration": metadata["generation"],
        }  # fmt: skip
        patch = json.dumps({"status": {"conditions": [condition]}})
        where = ["-n", metadata["namespace"], "--subresource=status", "--type=merge", "-p", patch]
        kubectl("patch", "secretsync", metadata["name"], *where)

    def run(self):
        # Of each SecretSync: the generation that was seen to, how often it failed, when it is due again.
        seen = {}
        while True:
            for sync in json.loads(kubectl("get", "secretsyncs", "-A", "-o", "json"))["items"]:
                key, generation = sync["metadata"]["uid"], sync["metadata"]["generation"]
                done, failures, due = seen.get(key, (0, 0, 0))
                if generation == done and (failures == 0 or time.monotonic() < due):
                    continue
                try:
                    self.reconcile(sync)
                    self.tell(sync, "True", "CreateSuccessful", "Secret created successfully.")
                    seen[key] = (generation, 0, 0)
                except (RuntimeError, grpc.RpcError) as error:
                    text = error.details() if isinstance(error, grpc.RpcError) else str(error)
                    code = error.code().name if isinstance(error, grpc.RpcError) else ""
                    message = f"fetching secrets from the provider failed: {code} {text}"
                    self.tell(sync, "False", "ProviderError", message)
                    pause = min(0.005 * 2**failures, 1000)
                    seen[key] = (generation, failures + 1, time.monotonic() + pause)
                    print(f"{sync['metadata']['name']}: {message}", flush=True)
            time.sleep(LOOK_EVERY)


if __name__ == "__main__":
    Controller(*sys.argv[1:]).run()
