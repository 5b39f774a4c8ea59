"""What joins images, what compares two builds and what looks at a program, tried on made ones: each fault has to be named."""

import io
import json
import hashlib
import pathlib
import struct
import sys
import tarfile
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import difference  # noqa: E402
import elf  # noqa: E402
import oci  # noqa: E402

HARDENED = {elf.DT_FLAGS: elf.DF_BIND_NOW, elf.DT_FLAGS_1: elf.DF_1_NOW | elf.DF_1_PIE, elf.DT_PLTRELSZ: 24}


def program(kind=3, stack=6, load=5, relro=True, interpreter=False, dynamic=HARDENED, needed=False):
    """The headers of a program."""
    tags = [(tag, value) for tag, value in dynamic.items()] + ([(elf.DT_NEEDED, 1)] if needed else []) + [(0, 0)]
    table = b"".join(struct.pack("<qQ", *entry) for entry in tags)
    segments = [(elf.PT_LOAD, load), (elf.PT_DYNAMIC, 6)]
    segments += [(elf.PT_GNU_STACK, stack)] if stack is not None else []
    segments += [(elf.PT_GNU_RELRO, 4)] if relro else []
    segments += [(elf.PT_INTERP, 4)] if interpreter else []
    start = 64 + 56 * len(segments)
    headers = b"".join(struct.pack("<IIQQQQQQ", k, f, start, 0, 0, len(table), 0, 0) for k, f in segments)
    head = struct.pack("<HHIQQQIHHHHHH", kind, 62, 1, 0, 64, 0, 0, 64, 56, len(segments), 64, 0, 0)
    return b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + head + headers + table


def image(folder, name, files, mode=0o755, **config):
    """An OCI archive with one layer."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    blobs = []

    def blob(content):
        blobs.append((hashlib.sha256(content).hexdigest(), content))
        return {"digest": f"sha256:{blobs[-1][0]}", "size": len(content)}

    manifest = {"config": blob(json.dumps(config).encode()), "layers": [blob(layer.getvalue())]}
    index = {"manifests": [blob(json.dumps(manifest).encode())]}
    archive = pathlib.Path(folder, name)
    with tarfile.open(archive, "w") as tar:
        for path, content in [(f"blobs/sha256/{digest}", content) for digest, content in blobs] + [
            ("index.json", json.dumps(index).encode())
        ]:
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return oci.Image(archive)


class Hardening(unittest.TestCase):
    def faults(self, **changes):
        return "; ".join(elf.faults(elf.Elf(program(**changes))))

    def test_a_hardened_program_has_no_faults(self):
        self.assertEqual(self.faults(), "")

    def test_each_fault_is_named(self):
        late = {elf.DT_FLAGS_1: elf.DF_1_PIE, elf.DT_PLTRELSZ: 24}
        for changes, said in [
            ({"interpreter": True}, "dynamic loader"),
            ({"needed": True}, "shared libraries"),
            ({"kind": 2}, "not position-independent: its type is EXEC"),
            ({"dynamic": {elf.DT_FLAGS: elf.DF_BIND_NOW}}, "not position-independent"),
            ({"relro": False}, "no RELRO"),
            ({"dynamic": late}, "RELRO is not full"),
            ({"dynamic": HARDENED | {elf.DT_TEXTREL: 0}}, "text relocations"),
            ({"stack": 7}, "stack is executable"),
            ({"stack": None}, "stack is executable"),
            ({"load": 7}, "writable and executable"),
        ]:
            with self.subTest(said):
                self.assertIn(said, self.faults(**changes))

    def test_what_is_no_program_is_refused(self):
        for content in (b"", b"#!/bin/sh\n", program()[:70]):
            with self.subTest(content[:10]), self.assertRaises(elf.NotAProgram):
                elf.Elf(content)


class Join(unittest.TestCase):
    def images(self, folder, *archs):
        return [image(folder, arch, {"program": arch.encode()}, os="linux", architecture=arch) for arch in archs]

    def joined(self, folder, images, name="index"):
        path = pathlib.Path(folder, name)
        oci.join(images, path)
        return path

    def test_index_names_each_image_by_digest_and_holds_its_blobs(self):
        with tempfile.TemporaryDirectory() as folder:
            images = self.images(folder, "amd64", "arm64")
            index = oci.Index(self.joined(folder, images))
        self.assertEqual(index.images(), {"amd64": images[0].digest, "arm64": images[1].digest})
        for held in images:
            self.assertLessEqual(held.blobs.items(), index.blobs.items())

    def test_the_same_images_in_any_order_are_the_same_archive(self):
        with tempfile.TemporaryDirectory() as folder:
            images = self.images(folder, "amd64", "arm64")
            one, other = self.joined(folder, images), self.joined(folder, images[::-1], "other")
            self.assertEqual(one.read_bytes(), other.read_bytes())

    def test_two_images_for_one_processor_are_refused(self):
        with tempfile.TemporaryDirectory() as folder, self.assertRaises(ValueError):
            self.joined(folder, self.images(folder, "amd64") * 2)

    def test_a_changed_file_gives_another_image_that_differs_in_nothing_else(self):
        with tempfile.TemporaryDirectory() as folder:
            held = image(folder, "a", {"program": b"1", "roots": b"2"}, os="linux", architecture="amd64")
            oci.with_another_file(held, "program", lambda content: content + b"!", pathlib.Path(folder, "b"))
            other = oci.Image(pathlib.Path(folder, "b"))
        self.assertEqual(other.files(), {"program": b"1!", "roots": b"2"})
        self.assertEqual(other.config["architecture"], "amd64")
        self.assertIn("layers: program: 1 and 2 bytes", difference.of_images(held, other))


class Difference(unittest.TestCase):
    def test_equal_builds_do_not_differ(self):
        self.assertIsNone(difference.of_bytes("program", b"abc", b"abc"))

    def test_the_first_byte_is_named_with_the_text_around_it(self):
        found = difference.of_bytes("program", b"\0/home/ada/main.rs\0x", b"\0/home/bob/main.rs\0y")
        self.assertIn("at byte 7", found)
        self.assertIn("/home/ada/main.rs", found)
        self.assertIn("/home/bob/main.rs", found)

    def test_a_text_that_only_one_has_is_named_where_all_else_moved(self):
        found = difference.of_bytes("program", b"\1\0same text\0/home/ada/main.rs\0", b"\2\0same text\0/home/bo/main.rs\0")
        self.assertIn("only in the first: /home/ada/main.rs", found)
        self.assertIn("only in the second: /home/bo/main.rs", found)

    def test_the_shorter_content_ends(self):
        self.assertIn("the end", difference.of_bytes("program", b"\0\1", b"\0\1\2"))

    def test_images_differ_by_mode_content_entry_or_configuration(self):
        with tempfile.TemporaryDirectory() as folder:
            base = image(folder, "a", {"program": b"1"}, created="1970")
            same = image(folder, "b", {"program": b"1"}, created="1970")
            self.assertIsNone(difference.of_images(base, same))
            for other, said in [
                (image(folder, "c", {"program": b"1"}, mode=0o700, created="1970"), "program: mode 0o755 and 0o700"),
                (image(folder, "d", {"program": b"2"}, created="1970"), "program: 1 and 1 bytes"),
                (image(folder, "e", {"program": b"1", "x": b""}, created="1970"), "only one image has x"),
                (image(folder, "f", {"program": b"1"}, created="2026"), "configuration.created: '1970' and '2026'"),
            ]:
                with self.subTest(said):
                    self.assertIn(said, difference.of_images(base, other))


if __name__ == "__main__":
    unittest.main()
