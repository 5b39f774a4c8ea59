#!/usr/bin/env python3
"""Run the official Alibaba Cloud Python SDKs against the emulator binary.

  official_clients.py PATH/TO/alibabacloud-emulator

Needs the packages in requirements.txt. Prints one JSON document and exits non-zero
when a call that should work failed, or one that should be refused did not.
"""
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
CHECK = os.path.join(HERE, "..", "testdata", "official_client_check.py")
VALUES = ["hello from KMS", "hello from OOS"]
ANY_PORT = ["--listen", "--http-listen", "--metadata-listen", "--kubernetes-listen", "--control-listen"]


class Emulator:
    def __init__(self, binary, folder):
        self.binary = binary
        self.ca = os.path.join(folder, "ca")
        config = os.path.join(folder, "cloud.yaml")
        with open(config, "w") as file:
            file.write(subprocess.check_output([binary, "example-config"], text=True))
        command = [binary, "--config", config, "--ca-dir", self.ca]
        for flag in ANY_PORT:
            command += [flag, "127.0.0.1:0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.addresses = json.loads(self.process.stdout.readline())

    def ctl(self, *arguments):
        command = [self.binary, "ctl", "--control", self.addresses["control"], *arguments]
        return subprocess.check_output(command, text=True).strip()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=10)


class FlippingProxy:
    """Passes bytes on, but changes one digit of the nonce of each request."""

    MARK = b"x-acs-signature-nonce: "

    def __init__(self, target):
        host, port = target.rsplit(":", 1)
        self.target = (host, int(port))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            server = socket.create_connection(self.target)
            threading.Thread(target=self.copy, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self.copy, args=(server, client, False), daemon=True).start()

    def copy(self, source, sink, flip):
        while data := source.recv(65536):
            at = data.lower().find(self.MARK) if flip else -1
            if at >= 0:
                at += len(self.MARK)
                other = b"1" if data[at:at + 1] == b"0" else b"0"
                data = data[:at] + other + data[at + 1:]
            sink.sendall(data)
        sink.close()


def check(endpoint, *arguments):
    command = [sys.executable, CHECK, "--endpoint", endpoint, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    try:
        return done.returncode, json.loads(done.stdout)
    except ValueError:
        return done.returncode, {"results": {}, "stderr": done.stderr[-2000:]}


def main():
    binary = os.path.abspath(sys.argv[1])
    runs = []
    with tempfile.TemporaryDirectory() as folder:
        emulator = Emulator(binary, folder)
        try:
            token = os.path.join(folder, "token")
            with open(token, "w") as file:
                file.write(emulator.ctl("pod-token", "--service-account", "app"))
            common = ["--oidc-token-file", token]
            http = emulator.addresses["http"]
            https = emulator.addresses["https"]
            schemes = {
                "http": [http, "--scheme", "http"],
                "https": [https, "--scheme", "https", "--ca", os.path.join(emulator.ca, "ca.pem")],
            }
            for scheme, target in schemes.items():
                for extras in ([], ["--chain"], ["--extra"], ["--chain", "--extra"]):
                    code, result = check(*target, *common, *extras)
                    calls = {name: call.get("error") or "ok" for name, call in result["results"].items()}
                    expected = 9 if "--extra" in extras else 4
                    # A client that cannot read an answer may report success without a body.
                    secret = result["results"].get("GetSecretValue", {}).get("body", {})
                    parameter = result["results"].get("GetSecretParameter", {}).get("body", {})
                    values = [secret.get("SecretData"), parameter.get("Parameter", {}).get("Value")]
                    passed = code == 0 and len(calls) == expected and values == VALUES
                    runs.append({"run": " ".join([scheme, *extras]), "passed": passed, "calls": calls,
                                 "stderr": result.get("stderr")})

            signed = "AssumeRole,GetSecretValue,GetSecretParameter,DescribeSecret,ListSecretVersionIds"
            refused = {
                "one byte changed on the way": [FlippingProxy(http).address],
                "wrong access key secret": [http, "--access-key-secret", "EXAMPLEsecret0000000000000002"],
            }
            for name, target in refused.items():
                _, result = check(*target, *common, "--extra", "--only", signed)
                calls = {call: outcome.get("error", {}).get("code") for call, outcome in result["results"].items()}
                passed = len(calls) == 5 and set(calls.values()) == {"SignatureDoesNotMatch"}
                runs.append({"run": name, "passed": passed, "calls": calls, "stderr": result.get("stderr")})

            requests = json.loads(emulator.ctl("requests", "--json"))
            unsigned = [r for r in requests if r["status"] == 200 and r["action"] != "AssumeRoleWithOIDC"
                        and not r["principal"]]
            runs.append({"run": "every success is listed with its principal",
                         "passed": bool(requests) and not unsigned, "requests": len(requests)})
        finally:
            code = emulator.stop()
        runs.append({"run": "ends with status 0 on SIGTERM", "passed": code == 0})
    ok = all(run["passed"] for run in runs)
    print(json.dumps({"ok": ok, "runs": runs}, indent=1))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
