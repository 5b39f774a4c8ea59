"""The first difference between two builds, in words that lead to its cause."""

import itertools
import re

from elf import Elf, NotAProgram

PRINTABLE = re.compile(rb"[\t\x20-\x7e]{4,}")


def text_around(content, offset):
    """The printable text at an offset, or the bytes."""
    start = max(0, offset - 200)
    for found in PRINTABLE.finditer(content, start, offset + 200):
        if found.start() <= offset <= found.end():
            return found[0].decode()[-300:]
    return content[offset : offset + 16].hex(" ") or "the end"


def of_bytes(name, one, other):
    """Where two contents differ first, or None."""
    if one == other:
        return None
    pairs = enumerate(itertools.zip_longest(one, other))
    offset = next(n for n, (a, b) in pairs if a != b)
    try:
        place = f" ({Elf(one).section_at(offset)})"
    except NotAProgram:
        place = ""
    return (
        f"{name}: {len(one)} and {len(other)} bytes, first different at byte {offset}{place}:\n"
        f"    {text_around(one, offset)}\n    {text_around(other, offset)}{only_in_one(one, other)}"
    )


def read_only_data(content):
    """Where a program has its texts: code looks like text by accident."""
    try:
        return Elf(content).section(".rodata") or content
    except NotAProgram:
        return content


def only_in_one(one, other):
    """The first text that each has and the other has not, a path if there is one: what changed its length moved all
    else, and mostly it is a folder of whoever built."""
    read = (read_only_data(content) for content in (one, other))
    texts = [{found[0]: None for found in re.finditer(rb"[\x20-\x7e]{8,}", content)} for content in read]
    own = ([text for text in mine if text not in theirs] for mine, theirs in (texts, texts[::-1]))
    firsts = (next((text for text in found if b"/" in text), found[0] if found else None) for found in own)
    said = [f"\n    only in the {which}: {text.decode()[:300]}" for which, text in zip(("first", "second"), firsts) if text]
    return "".join(said)


def of_json(path, one, other):
    """The first path at which two JSON values differ, or None."""
    if isinstance(one, dict) and isinstance(other, dict):
        pairs = ((f"{path}.{key}", one.get(key), other.get(key)) for key in sorted({*one, *other}))
    elif isinstance(one, list) and isinstance(other, list):
        zipped = itertools.zip_longest(one, other)
        pairs = ((f"{path}[{n}]", a, b) for n, (a, b) in enumerate(zipped))
    else:
        return None if one == other else f"{path}: {one!r} and {other!r}"
    return next((found for pair in pairs if (found := of_json(*pair))), None)


def of_images(one, other):
    """The first difference between two images: their files, what tar says of them, configuration, compression."""
    if one.digest == other.digest:
        return None
    for first, second in itertools.zip_longest(one.entries(), other.entries()):
        if not first or not second:
            return f"layers: only one image has {(first or second)[0].name}"
        (a, content), (b, other_content) = first, second
        for what in ("name", "type", "mode", "mtime", "uid", "gid", "uname", "gname", "linkname", "pax_headers"):
            if getattr(a, what) != getattr(b, what):
                said = oct if what == "mode" else repr
                return f"layers: {a.name}: {what} {said(getattr(a, what))} and {said(getattr(b, what))}"
        if found := of_bytes(f"layers: {a.name}", content, other_content):
            return found
    return (
        of_json("configuration", one.config, other.config)
        or of_json("manifest", one.manifest, other.manifest)
        or "layers: the same entries in another form or compression"
    )
