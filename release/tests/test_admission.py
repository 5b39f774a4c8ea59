"""The policy of what a cluster admits, with a cosign that says what it is told to. The real one, and the policy,
are tried by e2e/cluster/tests/test_provider_admission.py."""

import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "admission" / "policy"
ONE, OTHER = "sha256:" + "1" * 64, "sha256:" + "2" * 64
IMAGE = "example.com/acme/provider"


def signature(digest):
    return {"critical": {"image": {"docker-manifest-digest": digest}}}


class Digests(unittest.TestCase):
    def run_with(self, verified, *words):
        """`verified` is what cosign says for each image: signatures, or None if it refuses."""
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            cases = []
            for number, (image, said) in enumerate(verified.items()):
                (folder / str(number)).write_text(json.dumps(said))
                answer = f"cat {folder / str(number)}" if said is not None else "echo no signatures found >&2; exit 10"
                cases.append(f'*" {image}") {answer};;')
            cosign = folder / "cosign"
            cosign.write_text(f'#!/bin/sh\ncase " $*" in\n{chr(10).join(cases)}\nesac\n')
            cosign.chmod(0o755)
            environment = os.environ | {"COSIGN": str(cosign)}
            return subprocess.run([SCRIPT, *words], env=environment, capture_output=True, text=True)

    def listed(self, done):
        self.assertEqual(done.returncode, 0, done.stderr)
        (listed,) = re.findall(r'name: verified\n +expression: "\[(.*)\]"', done.stdout)
        return listed.replace("'", "").split(", ")

    def test_digests_that_cosign_verified_are_listed_once_each(self):
        verified = {f"{IMAGE}@{ONE}": [signature(ONE), signature(ONE)], f"{IMAGE}:2": [signature(OTHER)]}
        done = self.run_with(verified, "--key", "k", "--", f"{IMAGE}@{ONE}", f"{IMAGE}:2", f"{IMAGE}@{ONE}")
        self.assertEqual(self.listed(done), [ONE, OTHER])
        self.assertEqual(done.stdout.count("\nkind: ValidatingAdmissionPolicy"), 2)

    def test_nothing_is_written_if_one_image_is_refused_or_another_digest_was_verified(self):
        for said, reason in [
            (None, "no signatures found"),
            ([], "cosign verified nothing"),
            ([signature(OTHER)], f"cosign verified {OTHER}"),
            ([signature(ONE), signature(OTHER)], "one digest was to be"),
            ([signature("sha256:1")], "one digest was to be"),
        ]:
            with self.subTest(reason):
                verified = {f"{IMAGE}:good": [signature(OTHER)], f"{IMAGE}@{ONE}": said}
                done = self.run_with(verified, "--key", "k", "--", f"{IMAGE}:good", f"{IMAGE}@{ONE}")
                self.assertEqual((done.returncode, done.stdout), (1, ""))
                self.assertIn(reason, done.stderr)

    def test_words_without_an_image_are_a_mistake_of_usage(self):
        for words in ([], ["--key", "k"], ["--key", "k", "--"], [IMAGE]):
            done = self.run_with({}, *words)
            self.assertEqual((done.returncode, done.stdout), (64, ""), words)
            self.assertIn("Usage:", done.stderr)

    def test_a_cosign_that_is_not_there_is_named(self):
        environment = os.environ | {"COSIGN": "/nowhere/cosign"}
        done = subprocess.run([SCRIPT, "--key", "k", "--", IMAGE], env=environment, capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("/nowhere/cosign is not installed", done.stderr)


if __name__ == "__main__":
    unittest.main()
