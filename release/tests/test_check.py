"""What holds a release together, and each way in which it comes apart."""

import json
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from test_builds import image  # noqa: E402
from test_contents import script, with_crates  # noqa: E402

check = script("check")
NAME = check.crates.NAME


class Agreement(unittest.TestCase):
    def test_every_place_that_has_the_version_is_held_to_it(self):
        self.assertEqual(check.versions(check.crates.version()), [])
        said = "\n".join(check.versions("9.9.9"))
        for path in ("Chart.yaml", "daemonset.yaml", "README.md", "Cargo.lock"):
            self.assertIn(path, said)

    def test_a_place_without_the_version_is_told(self):
        self.assertIn("has no version", "\n".join(check.versions("1.0.0", read=lambda path: "")))

    def test_a_release_begins_the_changelog_with_its_version_and_day(self):
        self.assertEqual(check.changelog("1.0.0", "# Changelog\n\n## Unreleased\n", False), [])
        self.assertEqual(check.changelog("1.0.0", "## 1.0.0 (2026-12-01)\n", True), [])
        self.assertTrue(check.changelog("1.0.0", "## Unreleased\n", True))
        self.assertTrue(check.changelog("1.0.0", "## 0.9.0 (2026-12-01)\n", False))

    def test_a_link_to_nothing_is_named(self):
        with tempfile.TemporaryDirectory() as folder:
            page = pathlib.Path(folder, "page.md")
            page.write_text("[a](page.md#x) [b](https://example.com) [c](gone.md)")
            self.assertEqual(check.links([page], pathlib.Path(folder)), ["page.md: names gone.md, which is not there"])


class Dist(unittest.TestCase):
    """A release that agrees, then one file after the other from another release."""

    def faults(self, **changes):
        """`changes` are of the files for arm64, and of those that are of both."""
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            images = [self.build(folder, "amd64", {}), self.build(folder, "arm64", changes)]
            check.oci.join(images[: changes.get("joined", 2)], folder / "image.tar")
            index = check.oci.Index(folder / "image.tar").digest.replace(":", "%3A")
            products = ["pkg:generic/amd64", "pkg:oci/amd64", "pkg:generic/arm64", changes.get("vex", "pkg:oci/arm64")]
            products.append(f"pkg:oci/{NAME}@{index}")
            vex = {"statements": [{"products": [{"@id": product} for product in products]}]}
            (folder / "openvex.json").write_text(json.dumps(vex))
            return check.dist(folder, "1.0.0")

    def build(self, folder, arch, changes):
        packages = {"packages": [{"name": NAME, "version": "1.0.0", "root": True}, {"name": "shop", "version": "2.0.0"}]}
        program = with_crates(json.dumps(packages).encode()) + arch.encode()
        sha256 = check.hashlib.sha256(program).hexdigest()
        labels = {"org.opencontainers.image.version": changes.get("label", "1.0.0")}
        check.crates.program(folder, arch).write_bytes(program)
        config = {"config": {"Labels": labels}, "os": "linux", "architecture": changes.get("architecture", arch)}
        held = image(folder, f"image-{arch}.tar", {NAME: changes.get("held", program)}, **config)
        component = lambda kind, digest, purl: {  # noqa: E731
            "type": kind, "name": NAME, "version": changes.get("version", "1.0.0"), "purl": purl, "hashes": [{"content": digest}],
        }
        about = component("application", changes.get("sha256", sha256), f"pkg:generic/{arch}")
        about_image = component("container", changes.get("digest", held.digest.removeprefix("sha256:")), f"pkg:oci/{arch}")
        crate = {"type": "library", "name": "shop", "version": changes.get("crate", "2.0.0"), "purl": "x", "hashes": [{"content": ""}]}
        documents = {
            f"program-{arch}.cdx.json": {"metadata": {"component": about}, "components": [crate]},
            f"image-{arch}.cdx.json": {"metadata": {"component": about_image}, "components": [component("application", sha256, "")]},
        }
        for path, document in documents.items():
            (folder / path).write_text(json.dumps(document))
        return held

    def test_files_of_one_release_agree(self):
        self.assertEqual(self.faults(), [])

    def test_a_file_of_another_release_is_named(self):
        for changes, said in [
            ({"sha256": "0" * 64}, "the program of program-arm64.cdx.json"),
            ({"version": "1.0.1"}, "the version of program-arm64.cdx.json"),
            ({"digest": "0" * 64}, "the digest of image-arm64.cdx.json"),
            ({"held": b"another"}, "the program in image-arm64.tar"),
            ({"label": "0.9.0"}, "the version label"),
            ({"crate": "2.0.1"}, "the crates of program-arm64.cdx.json"),
            ({"architecture": "s390x"}, "the architecture of image-arm64.tar"),
            ({"joined": 1}, "the images in image.tar"),
            ({"vex": "pkg:oci/b"}, "the products of openvex.json"),
        ]:
            with self.subTest(said):
                self.assertIn(said, "\n".join(self.faults(**changes)))


if __name__ == "__main__":
    unittest.main()
