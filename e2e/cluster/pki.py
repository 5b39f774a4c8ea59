"""The cluster's own certificate authority, made anew for each node."""

import json
import subprocess

from .node import ADDRESS, API, NODE

DAYS = "3650"


def openssl(*arguments, text=None):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, input=text, text=True)


class Authority:
    def __init__(self, folder):
        folder.mkdir()
        self.folder = folder
        self.certificate, self.key = folder / "ca.crt", folder / "ca.key"
        openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", DAYS,
            "-subj", "/CN=e2e", "-keyout", self.key, "-out", self.certificate,
        )  # fmt: skip

    def issue(self, name, subject, names=None):
        certificate, key = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        request, extensions = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        extensions.write_text(
            "basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\n"
            + (f"subjectAltName={names}\n" if names else "")
        )
        openssl(
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", subject,
            "-keyout", key, "-out", request,
        )  # fmt: skip
        openssl(
            "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial",
            "-days", DAYS, "-extfile", extensions, "-out", certificate,
        )  # fmt: skip
        return certificate, key

    def kubeconfig(self, name, subject):
        certificate, key = self.issue(name, subject)
        file = self.folder / f"{name}.kubeconfig"
        entry = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "e2e", "cluster": {"server": f"https://{API}", "certificate-authority": str(self.certificate)}}],
            "users": [{"name": name, "user": {"client-certificate": str(certificate), "client-key": str(key)}}],
            "contexts": [{"name": "e2e", "context": {"cluster": "e2e", "user": name}}],
            "current-context": "e2e",
        }
        file.write_text(json.dumps(entry, indent=1))
        return file


def create(folder):
    authority = Authority(folder)
    services = ",".join(f"DNS:kubernetes{part}" for part in ("", ".default", ".default.svc", ".default.svc.cluster.local"))
    authority.issue("apiserver", "/CN=kube-apiserver", f"IP:{API},IP:127.0.0.1,{services}")
    authority.issue("apiserver-kubelet", "/O=system:masters/CN=kube-apiserver-kubelet")
    authority.issue("kubelet-server", f"/O=system:nodes/CN=system:node:{NODE}", f"IP:{ADDRESS},DNS:{NODE}")
    authority.kubeconfig("admin", "/O=system:masters/CN=admin")
    authority.kubeconfig("kubelet", f"/O=system:nodes/CN=system:node:{NODE}")
    authority.kubeconfig("controller-manager", "/CN=system:kube-controller-manager")
    authority.kubeconfig("scheduler", "/CN=system:kube-scheduler")
    # RSA, as managed clusters have: what verifies tokens should meet RS256.
    openssl("genrsa", "-out", folder / "service-account.key", "2048")
    return authority
