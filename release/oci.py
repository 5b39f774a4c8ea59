"""An image in an OCI archive: its digest, its configuration, what its layers hold."""

import gzip
import hashlib
import io
import json
import tarfile


class Image:
    """The one image of an OCI archive."""

    def __init__(self, archive):
        with tarfile.open(archive) as tar:
            self.blobs = {
                entry.name.split("/")[-1]: tar.extractfile(entry).read()
                for entry in tar
                if entry.isfile() and entry.name.startswith("blobs/sha256/")
            }
            (self.descriptor,) = json.load(tar.extractfile("index.json"))["manifests"]
        for digest, content in self.blobs.items():
            if hashlib.sha256(content).hexdigest() != digest:
                raise ValueError(f"{archive}: the blob {digest} has another digest")
        self.digest = self.descriptor["digest"]
        self.manifest = json.loads(self.blob(self.digest))
        self.config = json.loads(self.blob(self.manifest["config"]["digest"]))

    def blob(self, digest):
        return self.blobs[digest.removeprefix("sha256:")]

    def layers(self):
        """Each layer as an uncompressed tar."""
        for layer in self.manifest["layers"]:
            content = self.blob(layer["digest"])
            yield gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content

    def entries(self):
        """Each entry of each layer, in order: what tar says of it, and its content."""
        for layer in self.layers():
            with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
                for entry in tar:
                    yield entry, tar.extractfile(entry).read() if entry.isfile() else b""

    def files(self):
        return {entry.name: content for entry, content in self.entries() if entry.isfile()}

    def size(self):
        """Bytes that a node fetches, and bytes that the files take on it."""
        fetched = sum(layer["size"] for layer in self.manifest["layers"])
        return fetched, sum(len(content) for _, content in self.entries())
