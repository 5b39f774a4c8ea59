"""Pages: the Markdown files of the book, with their headings, anchors, links, code blocks and inline code."""

import pathlib
import posixpath
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
SUMMARY = DOCS / "SUMMARY.md"
PROGRAM = "csi-secrets-store-provider-alibabacloud"

FENCE = re.compile(r"^(?P<indent>\s*(?:> ?)?)(?P<fence>```+|~~~+)\s*(?P<language>[\w-]*)[^\n`]*$")
# A code span goes first: what looks like a link in it is none.
SPAN_OR_LINK = re.compile(
    r"(?P<span>(?P<ticks>`+)(?P<code>(?:(?!\n\n).)+?)(?<!`)(?P=ticks)(?!`))"
    r"|(?P<image>!?)\[(?P<text>(?:[^\[\]`]|`[^`]*`|\[[^\]]*\])*)\]\((?P<target>[^)\s]+)\)",
    re.DOTALL,
)
TABLE_RULE = re.compile(r"^\|(\s*:?-+:?\s*\|)+$")


class Block:
    """A fenced piece of a page."""

    def __init__(self, language, text, line):
        self.language, self.text, self.line = language, text, line


class Page:
    def __init__(self, path, text=None):
        self.path = pathlib.Path(path)
        self.text = self.path.read_text() if text is None else text
        self.pieces = list(pieces(self.text))

    @property
    def name(self):
        """The path within the repository."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def blocks(self):
        return [piece for piece in self.pieces if isinstance(piece, Block)]

    @property
    def prose(self):
        return "\n".join(piece for piece in self.pieces if isinstance(piece, str))

    def links(self):
        """Targets of links and pictures, outside of code."""
        return [found["target"] for found in SPAN_OR_LINK.finditer(self.prose) if found["target"]]

    def spans(self):
        """Inline code, as it is read: without what a table needs of backslashes."""
        found = (found["code"] for found in SPAN_OR_LINK.finditer(self.prose) if found["code"])
        inside = (code for text in SPAN_OR_LINK.finditer(self.prose) if text["text"] for code in re.findall(r"`([^`]+)`", text["text"]))
        return [code.replace("\\|", "|").strip() for code in [*found, *inside]]

    def anchors(self):
        """What a link can name behind #: headings, and elements with an id."""
        anchors, seen = set(re.findall(r"<a id=\"([^\"]+)\">", self.prose)), {}
        for line in self.prose.splitlines():
            heading = re.match(r"^#{1,6}\s+(.*?)\s*#*$", line)
            if heading:
                anchor = slug(heading[1])
                again = seen[anchor] = seen.get(anchor, -1) + 1
                anchors.add(f"{anchor}-{again}" if again else anchor)
        return anchors

    def rows(self):
        """Cells of each row of a table, but for heads and rules."""
        lines = self.prose.splitlines()
        for at, line in enumerate(lines):
            head = at + 1 < len(lines) and TABLE_RULE.match(lines[at + 1])
            if line.startswith("|") and not TABLE_RULE.match(line) and not head:
                yield [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def pieces(text):
    """Prose as texts, and the blocks between."""
    prose, inside, started = [], None, 0
    for number, line in enumerate(text.splitlines(), 1):
        fence = FENCE.match(line)
        if inside is None and fence:
            yield "\n".join(prose)
            prose, inside, started, indent = [], fence, number, len(fence["indent"])
            code = []
        elif inside is not None and line.strip().lstrip("> ") == inside["fence"]:
            yield Block(inside["language"], "\n".join(code) + "\n", started)
            inside = None
        elif inside is not None:
            code.append(line[min(indent, len(line) - len(line.lstrip(" >"))) :])
        else:
            prose.append(line)
    if inside is not None:
        raise ValueError(f"line {started}: the block has no end")
    yield "\n".join(prose)


def slug(heading):
    """The anchor of a heading, as GitHub and mdBook make it."""
    text = SPAN_OR_LINK.sub(lambda found: found["code"] or found["text"], heading)
    text = re.sub(r"[*`]|<[^>]+>", "", text)
    kept = (c.lower() if c.isalnum() or c in "_-" else "-" if c == " " else "" for c in text)
    return "".join(kept)


def listed(summary=SUMMARY):
    """The pages that the summary names, in its order."""
    targets = (target for target in Page(summary).links() if "://" not in target)
    return [pathlib.Path(posixpath.normpath((summary.parent / target).as_posix())) for target in targets]


def documents():
    """Every Markdown file of docs/ but the summary, and what the summary names elsewhere."""
    inside = sorted(DOCS.rglob("*.md"))
    return [*(path for path in inside if path != SUMMARY), *(path for path in listed() if DOCS not in path.parents)]


def resolve(page, target):
    """The file and the anchor that a link of this page leads to; none of a link out of the repository."""
    if re.match(r"^[a-z][a-z+.-]*:", target):
        return None, None
    path, _, anchor = target.partition("#")
    file = page.path if not path else pathlib.Path(posixpath.normpath((page.path.parent / path).as_posix()))
    return file, anchor or None


def broken(pages, root=ROOT):
    """Links that lead to no file, or to no anchor of it."""
    anchors = {}
    for page in pages:
        for target in page.links():
            file, anchor = resolve(page, target)
            if file is None:
                continue
            where = page.path.relative_to(root).as_posix()
            if not file.exists():
                yield f"{where}: {target}: there is no such file"
            elif anchor and file.suffix == ".md":
                if file not in anchors:
                    anchors[file] = Page(file).anchors()
                if anchor not in anchors[file]:
                    yield f"{where}: {target}: there is no such anchor"


def commands(block):
    """The program's command lines in a block: what stands behind its name, up to a pipe or the end."""
    joined = block.text.replace("\\\n", " ")
    for line in joined.splitlines():
        # A value's quotes hold no second command in these pages.
        for piece in re.split(r"\s(?:\||&&|;|>|2>)\s", f" {line.split(' #')[0]} "):
            words = piece.replace("$ ", " ").split()
            for at, word in enumerate(words):
                if word.rsplit("/", 1)[-1] == PROGRAM and not any(flag in words[:at] for flag in ("helm", "kubectl", "cosign", "rollout")):
                    yield words[at + 1 :]
