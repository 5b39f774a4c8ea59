"""Container images FROM scratch, built with buildah."""

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from . import parts

BUSYBOX = "localhost/e2e/busybox:1"
PAUSE = "localhost/e2e/pause:1"
DOUBLE = "localhost/e2e/provider-double:1"
# The tag is the chart's own.
PROVIDER = "localhost/e2e/csi-secrets-store-provider-alibabacloud"


# buildah keeps a cache in /var/lib/containers, whatever it is told: it gets one that goes with its mount namespace.
HIDDEN = ["unshare", "-m", "sh", "-c", 'mkdir -p /var/lib/containers && mount -t tmpfs tmpfs /var/lib/containers && exec "$@"', "-"]


def version():
    """Of the provider's image, which is the chart's."""
    chart = Path(__file__).resolve().parents[2] / "deploy" / "chart" / "Chart.yaml"
    return re.search(r"^appVersion: (.*)$", chart.read_text(), re.MULTILINE)[1]


def provider(archive):
    """The provider's image as deploy/image makes it, of E2E_PROVIDER or of what cargo builds from this tree."""
    deploy = Path(__file__).resolve().parents[2] / "deploy"
    given = os.environ.get("E2E_PROVIDER")
    parts.say(f"building the provider's image {f'of {given}' if given else 'and, if it changed, the program'}")
    command = [*HIDDEN, deploy / "image", "--tag", f"{PROVIDER}:{version()}", "--output", archive]
    done = subprocess.run(
        [str(word) for word in command + (["--binary", given] if given else [])],
        env={**os.environ, "PATH": parts.path_with_sbin()},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"deploy/image: {done.stdout}")
    return archive


def build(context, tag, archive, dockerfile=None):
    """Builds an image to an OCI archive whose one name is the tag."""
    archive = Path(archive)
    with tempfile.TemporaryDirectory(prefix="buildah-") as scratch:
        policy = Path(scratch, "policy.json")
        policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        registries = Path(scratch, "registries.conf")
        registries.touch()
        # Without it buildah makes a folder in /etc for networks that these builds have no use for.
        settings = Path(scratch, "containers.conf")
        settings.write_text(f'[network]\nnetwork_config_dir = "{scratch}/networks"\n')
        env = {
            **os.environ,
            "CONTAINERS_CONF": str(settings),
            "STORAGE_DRIVER": "vfs",
            "BUILDAH_ISOLATION": "chroot",
            "CONTAINERS_REGISTRIES_CONF": str(registries),
            "TMPDIR": scratch,
            "PATH": parts.path_with_sbin(),
        }
        buildah = [*HIDDEN, "buildah", "--root", f"{scratch}/root", "--runroot", f"{scratch}/run"]
        file = ["-f", str(dockerfile)] if dockerfile else []
        for command in (
            ["bud", "--signature-policy", str(policy), "--timestamp", "0", "-t", tag, *file, str(context)],
            ["push", "--signature-policy", str(policy), tag, f"oci-archive:{archive}:{tag}"],
        ):
            done = subprocess.run(buildah + command, env=env, capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(f"buildah {command[0]} {tag}: {done.stdout}{done.stderr}")
    return archive


def recipe(entrypoint, files=(), applets=(), folders=()):
    """Files go to /bin, folders to /."""
    texts = {"files": [str(file) for file in files], "folders": [str(folder) for folder in folders]}
    return {"entrypoint": entrypoint, "applets": list(applets), **texts}


def base(name):
    """What the node itself needs: (tag as a label only) -> what is in it."""
    sidecars = parts.folder("sidecars") / "bin"
    if name == PAUSE:
        return recipe(["/bin/busybox", "sleep", "2147483647"], [parts.program("busybox")])
    if name == BUSYBOX:
        applets = ["sh", "true", "cat", "ls", "sleep", "stat", "readlink", "find", "wget", "nslookup", "id", "mount", "umount", "nc", "ip"]
        return recipe(["/bin/busybox"], [parts.program("busybox")], applets)
    if name == DOUBLE:
        return recipe(["/bin/provider-double"], [parts.binary("driver-1.6.0", "provider-double")])
    repository, _, tag = name.rpartition(":")
    match repository.rpartition("/")[2]:
        case "driver":
            driver = parts.binary(f"driver-{tag.removeprefix('v')}", "secrets-store-csi-driver")
            return recipe(["/bin/secrets-store-csi-driver"], [driver, parts.program("busybox")], ["mount", "umount"])
        case "driver-crds":
            crds = parts.chart(tag.removeprefix("v")) / "crds"
            return recipe(["/bin/kubectl"], [parts.binary(parts.KUBERNETES_MODULE, "kubectl")], folders=[crds])
        case ("csi-node-driver-registrar" | "livenessprobe") as sidecar:
            return recipe([f"/bin/{sidecar}"], [sidecars / sidecar])
    raise KeyError(f"nothing is known about the image {name}")


def archive(name):
    """The archive of one of the node's own images, built once into the cache."""
    made_of = base(name)
    digest = hashlib.sha256(json.dumps([name, made_of]).encode())
    for file in made_of["files"]:
        digest.update(f"{Path(file).stat().st_size} {Path(file).stat().st_mtime_ns}".encode())
    folder = parts.CACHE / "images"
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / f"{digest.hexdigest()[:24]}.tar"
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            parts.say(f"building image {name}, once")
            with tempfile.TemporaryDirectory(prefix="image-") as context:
                binaries = Path(context, "root", "bin")
                binaries.mkdir(parents=True)
                Path(context, "root", "tmp").mkdir(mode=0o1777)
                for file in made_of["files"]:
                    shutil.copy(file, binaries)
                for source in made_of["folders"]:
                    shutil.copytree(source, Path(context, "root", Path(source).name))
                for applet in made_of["applets"]:
                    (binaries / applet).symlink_to("busybox")
                dockerfile = f"FROM scratch\nCOPY root /\nENTRYPOINT {json.dumps(made_of['entrypoint'])}\nENV PATH=/bin\n"
                Path(context, "Dockerfile").write_text(dockerfile)
                build(context, name, done.with_suffix(".new")).rename(done)
    return done
