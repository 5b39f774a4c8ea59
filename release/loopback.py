"""A registry on this machine and keys to throw away, for the rehearsal and the tests: they end with their folder."""

import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import time
import urllib.request


def served_by(folder, address):
    """The command of a registry: Debian's docker-registry, or the one that crane has."""
    if program := shutil.which("docker-registry"):
        config = folder / "registry.yml"
        store = {"filesystem": {"rootdirectory": str(folder / "registry")}}
        config.write_text(json.dumps({"version": 0.1, "storage": store, "http": {"addr": address}, "log": {"level": "error"}}))
        return [program, "serve", str(config)]
    (folder / "registry").mkdir()
    return [os.environ.get("CRANE", "crane"), "registry", "serve", "--address", address, "--disk", str(folder / "registry")]


@contextlib.contextmanager
def registry(folder):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with (folder / "registry.log").open("w") as log:
        process = subprocess.Popen(served_by(folder, address), stdout=log, stderr=log)
    try:
        for _ in range(100):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://{address}/v2/", timeout=1).close()
                break
            time.sleep(0.1)
        else:
            raise RuntimeError(f"the registry does not start: {(folder / 'registry.log').read_text()}")
        yield address
    finally:
        process.terminate()
        process.wait()


def key(cosign, folder, name):
    """A new pair of keys: the files of the private and of the public one. COSIGN_PASSWORD opens the first."""
    place = pathlib.Path(folder, name)
    place.mkdir()
    subprocess.run([cosign, "generate-key-pair"], cwd=place, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return place / "cosign.key", place / "cosign.pub"


def flipped(content):
    """The same content with one bit of its middle changed."""
    changed = bytearray(content)
    changed[len(changed) // 2] ^= 1
    return bytes(changed)
