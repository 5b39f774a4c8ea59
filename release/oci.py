"""Images in OCI archives: their digests, their configuration, what their layers hold; and one index of several."""

import gzip
import hashlib
import io
import json
import tarfile

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def compact(document):
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()


class Archive:
    """The blobs of an OCI archive, each held to its digest, and the one descriptor that it begins with."""

    def __init__(self, archive):
        with tarfile.open(archive) as tar:
            self.blobs = {
                entry.name.split("/")[-1]: tar.extractfile(entry).read()
                for entry in tar
                if entry.isfile() and entry.name.startswith("blobs/sha256/")
            }
            (self.descriptor,) = json.load(tar.extractfile("index.json"))["manifests"]
        for digest, content in self.blobs.items():
            if sha256(content) != digest:
                raise ValueError(f"{archive}: the blob {digest} has another digest")
        self.digest = self.descriptor["digest"]
        self.manifest = json.loads(self.blob(self.digest))

    def blob(self, digest):
        return self.blobs[digest.removeprefix("sha256:")]


class Image(Archive):
    """The one image of an OCI archive."""

    def __init__(self, archive):
        super().__init__(archive)
        self.config = json.loads(self.blob(self.manifest["config"]["digest"]))

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


class Index(Archive):
    """The one index of an OCI archive."""

    def images(self):
        """The digest of the image for each architecture."""
        return {entry["platform"]["architecture"]: entry["digest"] for entry in self.manifest["manifests"]}


def write(blobs, media_type, top, output):
    """An OCI archive whose one descriptor is of the blob `top`. The same content is the same archive."""
    digest = sha256(top)
    entries = {f"blobs/sha256/{sha256(content)}": content for content in [*blobs, top]}
    descriptor = {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(top)}
    entries["index.json"] = compact({"schemaVersion": 2, "mediaType": INDEX, "manifests": [descriptor]})
    entries["oci-layout"] = compact({"imageLayoutVersion": "1.0.0"})
    with tarfile.open(output, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(entries):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(entries[name]), 0o644
            tar.addfile(entry, io.BytesIO(entries[name]))


def join(images, output):
    """One index of images, in the order of their architectures. It depends on them alone."""
    manifests, seen = [], set()
    for image in sorted(images, key=lambda image: image.config["architecture"]):
        platform = {"architecture": image.config["architecture"], "os": image.config["os"]}
        if platform["architecture"] in seen:
            raise ValueError(f"two images are for {platform['architecture']}")
        seen.add(platform["architecture"])
        size = len(image.blob(image.digest))
        media_type = image.manifest.get("mediaType", MANIFEST)
        manifests.append({"mediaType": media_type, "digest": image.digest, "size": size, "platform": platform})
    index = compact({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests})
    write([blob for image in images for blob in image.blobs.values()], INDEX, index, output)


def with_another_file(image, name, change, output):
    """The image with one file changed: `change` gets its content. All else stays as it is."""
    layers = []
    for content in image.layers():
        packed = io.BytesIO()
        with tarfile.open(fileobj=io.BytesIO(content)) as old, tarfile.open(fileobj=packed, mode="w") as new:
            for entry in old:
                held = old.extractfile(entry).read() if entry.isfile() else b""
                held = change(held) if entry.name == name else held
                entry.size = len(held)
                new.addfile(entry, io.BytesIO(held))
        layers.append(packed.getvalue())
    blobs = [gzip.compress(layer, mtime=0) for layer in layers]
    described = [
        {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": f"sha256:{sha256(blob)}", "size": len(blob)}
        for blob in blobs
    ]
    config = compact(image.config | {"rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256(layer)}" for layer in layers]}})
    about = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": f"sha256:{sha256(config)}", "size": len(config)}
    manifest = compact({"schemaVersion": 2, "mediaType": MANIFEST, "config": about, "layers": described})
    write([*blobs, config], MANIFEST, manifest, output)
