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
            return publish.package_chart(publish.Registry("example.com/acme", False), DIGEST, "https://example.com/a", pathlib.Path(folder))

    def test_the_same_chart_is_the_same_archive(self):
        with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
            self.assertEqual(self.package(one).read_bytes(), self.package(other).read_bytes())

    def test_it_names_the_image_by_place_and_digest(self):
        with tempfile.TemporaryDirectory() as folder, tarfile.open(self.package(folder)) as tar:
            read = lambda name: tar.extractfile(f"{publish.crates.NAME}/{name}").read().decode()  # noqa: E731
            self.assertIn(f"repository: example.com/acme/{publish.crates.NAME}\n", read("values.yaml"))
            self.assertIn(f"digest: {DIGEST}\n", read("values.yaml"))
            named = f"image: example.com/acme/{publish.crates.NAME}:{publish.crates.version()}@{DIGEST}\n"
            self.assertIn(named, read("Chart.yaml"))
            self.assertTrue(read("Chart.yaml").endswith("home: https://example.com/a\nsources: [https://example.com/a]\n"))
            self.assertEqual({entry.mode for entry in tar}, {0o644})


class Provenance(unittest.TestCase):
    def made(self, revisions, roots=("1", "1")):
        images = {}
        for arch, revision, version in zip(publish.crates.TARGETS, revisions, roots):
            labels = {"org.opencontainers.image.revision": revision, f"{publish.crates.NAME}.ca-certificates": version}
            images[arch] = types.SimpleNamespace(digest=DIGEST, config={"config": {"Labels": labels}})
        index = types.SimpleNamespace(digest=DIGEST)
        return publish.provenance("https://example.com/a", "https://example.com/builder", index, images)

    def test_it_names_commit_lock_file_targets_and_builder(self):
        commit = publish.git("rev-parse", "HEAD")
        made = self.made([commit, commit])
        self.assertEqual(made["buildDefinition"]["externalParameters"]["commit"], commit)
        self.assertEqual(made["buildDefinition"]["externalParameters"]["targets"], list(publish.crates.TARGETS.values()))
        self.assertEqual(made["buildDefinition"]["resolvedDependencies"][0]["digest"], {"gitCommit": commit})
        self.assertEqual(made["runDetails"]["builder"]["id"], "https://example.com/builder")

    def test_an_image_of_another_commit_or_of_a_changed_tree_is_refused(self):
        commit = publish.git("rev-parse", "HEAD")
        for revision in ("0" * 40, commit + "-dirty"):
            for revisions in ([revision, commit], [commit, revision]):
                with self.assertRaises(publish.Refused):
                    self.made(revisions)

    def test_images_with_ca_roots_of_two_versions_are_refused(self):
        commit = publish.git("rev-parse", "HEAD")
        with self.assertRaises(publish.Refused):
            self.made([commit, commit], ("1", "2"))


class Lines(unittest.TestCase):
    PUBLISHED = {
        "image": f"example.com/acme/{publish.crates.NAME}@{DIGEST}",
        "images": {"amd64": f"example.com/acme/{publish.crates.NAME}@sha256:{'1' * 64}"},
        "chart": f"example.com/acme/charts/{publish.crates.NAME}@sha256:{'c' * 64}",
    }

    def test_lines_of_the_readme_come_filled_in(self):
        lines = publish.filled_in(publish.install_lines(), self.PUBLISHED, "https://example.com/a")
        self.assertIn(f"cosign verify $WHO {self.PUBLISHED['image']}\n", lines)
        self.assertIn(f"cosign verify $WHO {self.PUBLISHED['chart']}\n", lines)
        self.assertIn(f"charts/{publish.crates.NAME}:{publish.crates.version()}@sha256:{'c' * 64} ", lines)
        self.assertIn("^https://example.com/a/.github/workflows/release.yml@", lines)
        for word in ("REGISTRY", "REPOSITORY", "DIGEST"):
            self.assertNotIn(word, lines)

    def test_a_release_that_is_signed_with_a_key_is_verified_by_it(self):
        lines = publish.filled_in(publish.install_lines(), self.PUBLISHED, "https://example.com/a", "--key cosign.pub")
        self.assertTrue(lines.startswith('WHO="--key cosign.pub"\ncosign verify'), lines)

    def test_the_workflow_that_signs_is_there(self):
        path = publish.re.search(r"\^REPOSITORY/(\S+)@refs", publish.install_lines())[1]
        self.assertTrue((publish.crates.ROOT / path).exists(), path)

    def test_each_image_has_its_sbom_and_the_index_those_of_all(self):
        attested = list(publish.attested(self.PUBLISHED | {"images": {"amd64": "a", "arm64": "b"}}))
        sboms = lambda of: [name for reference, kind, name in attested if reference == of and kind == "cyclonedx"]  # noqa: E731
        self.assertEqual(sboms("a"), ["image-amd64.cdx.json"])
        self.assertEqual(sboms(self.PUBLISHED["image"]), ["image-amd64.cdx.json", "image-arm64.cdx.json"])
        for of in ("a", "b", self.PUBLISHED["image"]):
            self.assertLessEqual({"openvex", "slsaprovenance1"}, {kind for reference, kind, _ in attested if reference == of})


class Place(unittest.TestCase):
    def test_only_a_registry_on_this_machine_goes_without_tls_and_log(self):
        self.assertEqual(publish.Registry("example.com/acme", False).log(), [])
        self.assertTrue(publish.Registry("127.0.0.1:5000/acme", True).log())
        for place in ("example.com/acme", "127.0.0.1.example.com/acme", "localhost.example.com/acme"):
            with self.assertRaises(publish.Refused):
                publish.Registry(place, True)


if __name__ == "__main__":
    unittest.main()
