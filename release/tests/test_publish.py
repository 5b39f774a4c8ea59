"""What is made before it is pushed. Pushing, signing and what is refused are tried by `make release-rehearsal`."""

import os
import pathlib
import sys
import tarfile
import tempfile
import types
import unittest
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from test_contents import script  # noqa: E402

publish = script("publish")
DIGEST = "sha256:" + "a" * 64


class Chart(unittest.TestCase):
    def package(self, folder):
        with mock.patch.dict(os.environ, {"SOURCE_DATE_EPOCH": "1700000000"}):
            return publish.package_chart(publish.Registry("example.com/acme", False), DIGEST, pathlib.Path(folder))

    def test_the_same_chart_is_the_same_archive(self):
        with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
            self.assertEqual(self.package(one).read_bytes(), self.package(other).read_bytes())

    def test_it_names_the_image_by_place_and_digest(self):
        with tempfile.TemporaryDirectory() as folder, tarfile.open(self.package(folder)) as tar:
            read = lambda name: tar.extractfile(f"{publish.crates.NAME}/{name}").read().decode()  # noqa: E731
            self.assertIn(f"repository: example.com/acme/{publish.crates.NAME}\n", read("values.yaml"))
            self.assertIn(f"digest: {DIGEST}\n", read("values.yaml"))
            self.assertIn(f"image: example.com/acme/{publish.crates.NAME}:", read("Chart.yaml"))
            self.assertEqual({entry.mode for entry in tar}, {0o644})


class Provenance(unittest.TestCase):
    def image(self, revision):
        labels = {"org.opencontainers.image.revision": revision}
        return types.SimpleNamespace(digest=DIGEST, config={"config": {"Labels": labels}})

    def test_it_names_commit_lock_file_and_builder(self):
        commit = publish.git("rev-parse", "HEAD")
        made = publish.provenance("https://example.com/a", "https://example.com/builder", self.image(commit))
        self.assertEqual(made["buildDefinition"]["externalParameters"]["commit"], commit)
        self.assertEqual(made["buildDefinition"]["resolvedDependencies"][0]["digest"], {"gitCommit": commit})
        self.assertEqual(made["runDetails"]["builder"]["id"], "https://example.com/builder")

    def test_an_image_of_another_commit_or_of_a_changed_tree_is_refused(self):
        for revision in ("0" * 40, publish.git("rev-parse", "HEAD") + "-dirty"):
            with self.assertRaises(publish.Refused):
                publish.provenance("https://example.com/a", "https://example.com/a", self.image(revision))


class Place(unittest.TestCase):
    def test_only_a_registry_on_this_machine_goes_without_tls_and_log(self):
        self.assertEqual(publish.Registry("example.com/acme", False).log(), [])
        self.assertTrue(publish.Registry("127.0.0.1:5000/acme", True).log())
        for place in ("example.com/acme", "127.0.0.1.example.com/acme", "localhost.example.com/acme"):
            with self.assertRaises(publish.Refused):
                publish.Registry(place, True)


if __name__ == "__main__":
    unittest.main()
