"""What an image may hold, and each thing that it may not."""

import pathlib
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from test_builds import image  # noqa: E402
from test_contents import hardening  # noqa: E402

NAME, ROOTS = hardening.NAME, hardening.ROOTS
PROGRAM = b"the program"
BUNDLE = b"-----BEGIN CERTIFICATE-----\n" * 120
CONFIG = {"Entrypoint": [f"/{NAME}"]}


class ImageOf(unittest.TestCase):
    def faults(self, files=None, modes=None, owner=0, config=CONFIG):
        files = {ROOTS: BUNDLE, NAME: PROGRAM} if files is None else files
        modes = {NAME: 0o755, ROOTS: 0o644} | (modes or {})
        with tempfile.TemporaryDirectory() as folder:
            made = image(folder, "image.tar", files, config=config)
        entries = []
        for entry, content in made.entries():
            entry.mode, entry.uid = modes.get(entry.name, 0o644), owner
            entries.append((entry, content))
        with mock.patch.object(made, "entries", lambda: entries):
            return "; ".join(hardening.of_image(made, PROGRAM)[1])

    def test_program_and_roots_alone_are_no_fault(self):
        self.assertEqual(self.faults(), "")

    def test_everything_else_is_named(self):
        whole = {ROOTS: BUNDLE, NAME: PROGRAM}
        for changes, said in [
            ({"files": whole | {"bin/sh": b"x"}}, "bin/sh: the image holds more"),
            ({"files": whole | {NAME: b"another"}}, "it is not the program that was checked"),
            ({"files": {NAME: PROGRAM}}, f"{ROOTS} is missing"),
            ({"files": {ROOTS: BUNDLE}}, f"{NAME} is missing"),
            ({"files": whole | {ROOTS: BUNDLE[:100]}}, "are no bundle of CA roots"),
            ({"files": whole | {ROOTS: BUNDLE + b"-----BEGIN PRIVATE KEY-----"}}, "are no bundle of CA roots"),
            ({"modes": {NAME: 0o4755}}, "others than root could write it, or it changes who runs it"),
            ({"modes": {NAME: 0o777}}, "its mode is 0o777"),
            ({"modes": {ROOTS: 0o600}}, "its mode is 0o600"),
            ({"owner": 1000}, "others than root could write it"),
            ({"config": {"Entrypoint": ["/bin/sh"]}}, "it starts something else"),
            ({"config": CONFIG | {"Cmd": ["--flag"]}}, "it starts something else"),
        ]:
            with self.subTest(said):
                self.assertIn(said, self.faults(**changes))

    def test_an_image_for_another_processor_than_its_program_is_named(self):
        with tempfile.TemporaryDirectory() as folder:
            made = image(folder, "image.tar", {NAME: PROGRAM}, architecture="amd64", config=CONFIG)
        self.assertEqual(hardening.of_architecture(made, "x86_64"), [])
        self.assertEqual(hardening.of_architecture(made, "aarch64"), ["the image is for amd64, its program for aarch64"])

    def test_an_image_that_is_too_large_is_named(self):
        with mock.patch.object(hardening, "MOST", 100):
            self.assertIn("are more than 100", self.faults())


if __name__ == "__main__":
    unittest.main()
