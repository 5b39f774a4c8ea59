"""The pages of docs/: what they link to, show and promise is there. PROGRAM names the built program."""

import html
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import reference  # noqa: E402
from catalogue import Catalogue  # noqa: E402
from pages import DOCS, PROGRAM as NAME, ROOT, SUMMARY, Page, broken, commands, documents, listed, pieces, slug  # noqa: E402

loader = importlib.machinery.SourceFileLoader("build", str(ROOT / "book" / "build"))
build = importlib.util.module_from_spec(importlib.util.spec_from_loader("build", loader))
loader.exec_module(build)

PROGRAM = os.environ.get("PROGRAM", ROOT / "target/debug" / NAME)
# Dotted names in inline code that begin as a value of the chart does, and are none.
OTHER_NAMES = {"serviceAccount.tokens", "linux.registrarImage", "linux.livenessProbeImage", "linux.crds.image"}
PAGES = [Page(path) for path in documents()]
# Flags in inline code that are other programs'.
OTHERS = set(
    """--set --set-string --values --version --dry-run --reset-then-reuse-values --reuse-values --take-ownership --namespace
    --key --expect --locked --bin --DKMSInstanceId --EncryptionKeyId --against --update --fetched --verify""".split()
)


def run(*arguments, **options):
    return subprocess.run([PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


class Values:
    """The chart's values, as its schema has them."""

    def __init__(self):
        self.schema = json.loads((ROOT / "deploy/chart/values.schema.json").read_text())

    def has(self, name):
        at = self.schema
        for part in name.split("."):
            while "$ref" in at:
                at = self.schema["$defs" if "$defs" in self.schema else "definitions"][at["$ref"].rsplit("/", 1)[-1]]
            properties = at.get("properties", {})
            if part not in properties:
                # What is Kubernetes' own is open.
                return bool(at.get("additionalProperties", at is not self.schema and not properties))
            at = properties[part]
        return True

    @staticmethod
    def set_by(text):
        found = re.findall(r"--set(?:-string)? ([^\s]+)", text.replace("\\\n", " "))
        return [re.split(r"[=\[]", pair)[0] for pairs in found for pair in pairs.split(",") if "=" in pair and '"' not in pair]

    @staticmethod
    def named_in(text):
        """Dotted names of the keys of plain YAML."""
        path = []
        for line in text.splitlines():
            found = re.match(r"^( *)([\w.-]+):", line)
            if found:
                path = [(indent, key) for indent, key in path if indent < len(found[1])] + [(len(found[1]), found[2])]
                yield ".".join(key for _, key in path)


class Links(unittest.TestCase):
    def test_each_link_leads_to_a_file_and_an_anchor(self):
        self.assertEqual(list(broken([*PAGES, Page(SUMMARY), Page(ROOT / "README.zh-CN.md")])), [])

    def test_summary_names_each_page_once(self):
        names = listed()
        self.assertEqual(len(names), len(set(names)))
        self.assertEqual({page.path for page in PAGES}, set(names))

    def test_a_link_to_no_file_and_one_to_no_anchor_are_told(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / "b.md").write_text("# One `two`\n\n<a id=\"own\"></a>\n\n```sh\n# no heading\n```\n\n# One two\n")
            text = "[a](b.md#one-two) [b](b.md#one-two-1) [c](b.md#own) [d](c.md) [e](b.md#no-heading) `[f](g.md)` [h](https://example.com#x)"
            told = list(broken([Page(root / "a.md", text)], root))
            self.assertEqual(told, ["a.md: c.md: there is no such file", "a.md: b.md#no-heading: there is no such anchor"])

    def test_anchors_are_those_of_github(self):
        self.assertEqual(slug("`secretObjects` of the driver"), "secretobjects-of-the-driver")
        self.assertEqual(slug("Network, DNS and certificates"), "network-dns-and-certificates")
        self.assertEqual(slug("What was tried"), "what-was-tried")


class Shown(unittest.TestCase):
    """Commands and manifests of the pages, as the program takes them."""

    @classmethod
    def setUpClass(cls):
        cls.helps = {words: found for words, found in reference.helps(PROGRAM)}
        cls.flags = {words: {name for option in found.options for name in (option.flag, option.short.strip(", "))} for words, found in cls.helps.items()}

    def unknown(self, words):
        """Flags that the command does not have."""
        at = tuple(words[:2]) if tuple(words[:2]) in self.helps else tuple(words[:1])
        at = at if at in self.helps else ()
        if "--on-change-exec" in words:
            words = words[: words.index("--on-change-exec") + 1]
        return [word for word in words if re.match(r"--?[a-zA-Z]", word) and word.split("=")[0] not in self.flags[at]]

    def test_each_command_uses_flags_that_it_has(self):
        seen = 0
        for page in PAGES:
            for block in page.blocks:
                for words in commands(block) if block.language in ("sh", "console", "") else ():
                    seen += 1
                    self.assertEqual(self.unknown(words), [], f"{page.name}:{block.line}: {' '.join(words)}")
        self.assertGreater(seen, 30)

    def test_a_flag_that_there_is_not_is_found(self):
        text = f"```sh\nhelm template a | {NAME} check --dny=notes \\\n    --deny=notes - > b\nhelm install {NAME} --foo\n```\n"
        (block,) = (piece for piece in pieces(text) if not isinstance(piece, str))
        self.assertEqual([self.unknown(words) for words in commands(block)], [["--dny=notes"]])

    def test_each_command_is_one(self):
        for page in PAGES:
            spans = (span.split()[1:] for span in page.spans() if span.startswith(f"{NAME} "))
            shown = (words for block in page.blocks if block.language in ("sh", "console", "") for words in commands(block))
            for words in [*spans, *shown]:
                if words and re.match(r"[a-z]", words[0]):
                    self.assertIn((words[0],), self.helps, f"{page.name}: {' '.join(words)}")
                    self.assertEqual(self.unknown(words), [], page.name)

    def test_each_value_of_the_chart_is_one(self):
        chart, seen = Values(), 0
        for page in PAGES:
            for block in page.blocks:
                if block.language in ("sh", "console") and "deploy/chart" in block.text:
                    for name in chart.set_by(block.text):
                        self.assertTrue(chart.has(name), f"{page.name}:{block.line}: {name}")
                        seen += 1
                if block.language == "yaml" and "apiVersion" not in block.text and chart.has(re.match(r"[\w-]*", block.text)[0]):
                    for name in chart.named_in(block.text):
                        self.assertTrue(chart.has(name), f"{page.name}:{block.line}: {name}")
                        seen += 1
            if page.name.startswith("docs/"):
                for span in page.spans():
                    name = re.match(r"[a-z][A-Za-z]*(?:\.[a-z][A-Za-z]*)+(?=$|[: ])", span)
                    if name and chart.has(name[0].split(".")[0]) and name[0] not in OTHER_NAMES:
                        self.assertTrue(chart.has(name[0]), f"{page.name}: {span}")
                        seen += 1
        self.assertGreater(seen, 60)

    def test_a_value_that_the_chart_has_not_is_told(self):
        chart = Values()
        self.assertEqual([name for name in chart.named_in("rrsa:\n  accountId: a\n  clusterid: b\nshare: pod\n") if not chart.has(name)], ["rrsa.clusterid"])
        self.assertEqual(chart.set_by("helm install x deploy/chart --set-string rrsa.accountId=1,rrsa.x=2"), ["rrsa.accountId", "rrsa.x"])

    def test_each_flag_in_the_text_is_one(self):
        known = set().union(*self.flags.values(), OTHERS)
        shell = {flag for page in PAGES for block in page.blocks for flag in re.findall(r"(?<!\S)--[a-zA-Z][\w-]*", block.text)}
        for page in PAGES:
            if page.name.startswith("docs/"):
                used = {span.split("=")[0].split()[0].split("[")[0] for span in page.spans() if re.match(r"--[a-zA-Z]", span)}
                self.assertEqual(used - known - shell, set(), page.name)

    def test_reference_is_what_the_program_says(self):
        for name, write in reference.PAGES.items():
            path, text = DOCS / "reference" / name, write(PROGRAM)
            if "UPDATE_DOCS" in os.environ:
                path.write_text(text)
            self.assertEqual(path.read_text(), text, f"UPDATE_DOCS=1 make test-docs writes docs/reference/{name}")

    def manifests(self):
        for page in PAGES:
            for block in page.blocks:
                if block.language == "yaml" and re.search(r"^apiVersion:", block.text, re.MULTILINE):
                    yield page, block

    def test_check_accepts_each_manifest_that_is_shown(self):
        texts = {f"{page.name}:{block.line}": block.text for page, block in self.manifests()}
        self.assertGreater(len(texts), 15)
        with tempfile.TemporaryDirectory() as folder:
            for where, text in texts.items():
                # Each by itself: pages show the same names.
                path = pathlib.Path(folder, "shown.yaml")
                path.write_text(text)
                said = run("check", path)
                self.assertEqual(said.returncode, 0, f"{where}: {said.stdout}{said.stderr}")

    def test_check_accepts_each_example_without_a_note(self):
        for path in sorted((ROOT / "examples").rglob("*.yaml")):
            said = run("check", "--deny=notes", path)
            self.assertEqual(said.returncode, 0, f"{path}: {said.stdout}{said.stderr}")

    def test_guides_show_what_the_examples_hold(self):
        examples = [path.read_text() for path in (ROOT / "examples").rglob("*.yaml")]
        for page, block in self.manifests():
            if page.name.startswith(("docs/guides/", "docs/identity/cross-account", "docs/start/")):
                self.assertTrue(any(block.text in text for text in examples), f"{page.name}:{block.line}: not in examples/")

    def test_each_guide_leads_to_its_example_and_each_example_is_led_to(self):
        linked = {(page.path.parent / link).resolve() for page in PAGES for link in page.links() if "examples/" in link}
        for path in (ROOT / "examples" / "guides").iterdir():
            self.assertIn(path, linked)

    def test_policies_of_the_quick_start_are_those_that_policy_writes(self):
        page = next(page for page in PAGES if page.name == "docs/start/ack.md")
        folder = ROOT / "examples" / "quickstart"
        given = ["--cluster-id=c0123456789abcdef", "--oidc-issuer=https://oidc-ack-cn-hangzhou.oss-cn-hangzhou.aliyuncs.com/c0123456789abcdef"]
        written = json.loads(run("policy", *given, "--output=json", folder / "checkout.yaml").stdout)["roles"][0]
        wanted = {"trust.json": written["trust_policy"]["document"] if "document" in written["trust_policy"] else written["trust_policy"]}
        wanted["policy.json"] = written["permission_policies"][0]["document"]
        shown = [json.loads(block.text) for block in page.blocks if block.language == "json"]
        self.assertEqual(shown, [wanted["trust.json"], wanted["policy.json"]])
        for name, document in wanted.items():
            self.assertEqual(json.loads((folder / name).read_text()), document)
        self.assertEqual((folder / "ram.tf").read_text(), run("policy", *given, "--output=terraform", folder / "checkout.yaml").stdout)

    def test_pictures_have_no_semicolon_which_ends_a_statement_of_mermaid(self):
        blocks = [(page, block) for page in PAGES for block in page.blocks if block.language == "mermaid"]
        self.assertGreater(len(blocks), 3)
        for page, block in blocks:
            # But for characters that are written by their number.
            self.assertNotIn(";", re.sub(r"[#&]\w+;", "", block.text), f"{page.name}:{block.line}")

    def test_json_that_is_shown_parses(self):
        for page in PAGES:
            for block in page.blocks:
                if block.language == "json" and "..." not in block.text:
                    json.loads(block.text)


class Chinese(unittest.TestCase):
    """Translations: what is code, and where links lead, is as in English."""

    @classmethod
    def setUpClass(cls):
        cls.catalogue = Catalogue((ROOT / "book" / "po" / "zh-CN.po").read_text())

    @staticmethod
    def kept(text):
        # Backticks and targets; their order may be another.
        return sorted(re.findall(r"`[^`]+`|\]\([^)]+\)", text))

    def test_translations_keep_code_and_links(self):
        self.assertGreater(len(self.catalogue.translations), 200)
        for text, translation in self.catalogue.translations.items():
            self.assertTrue(translation)
            self.assertEqual(self.kept(translation), self.kept(text))

    def test_each_translation_is_of_a_text_that_the_pages_have(self):
        with tempfile.TemporaryDirectory() as folder:
            source = build.Source(pathlib.Path(folder), None)
            source.write()
            texts = [path.read_text() for path in pathlib.Path(folder).rglob("*.md")]
        # As gettext has it: lines joined, other marks for emphasis, no marks of a quotation, one kind of line in a table.
        plain = lambda text: re.sub(r"\s+", " ", re.sub(r"^> ", "", text, flags=re.MULTILINE).replace("*", "_").replace("\\|", "|"))  # noqa: E731
        pages = [plain(text) for text in texts]
        for text in self.catalogue.translations:
            self.assertTrue(any(plain(text) in page for page in pages), f"no page has: {text}")

    def test_readme_has_the_same_blocks(self):
        blocks = lambda name: [(block.language, block.text) for block in Page(ROOT / name).blocks]  # noqa: E731
        self.assertEqual(blocks("README.zh-CN.md"), blocks("README.md"))


class Troubleshooting(unittest.TestCase):
    """docs/troubleshooting.md has a section for each reason, and one for each message that the other pages have."""

    @classmethod
    def setUpClass(cls):
        text = (DOCS / "troubleshooting.md").read_text()
        cls.sections = dict(part.split("\n", 1) for part in re.split(r"^### ", text, flags=re.MULTILINE)[1:])
        cls.patterns = {name: list(cls.texts(section)) for name, section in cls.sections.items()}

    @staticmethod
    def texts(section):
        """What its messages hold, with anything for ...: the code in its quotations."""
        for line in section.splitlines():
            for code in re.findall(r"`([^`]+)`", line) if line.startswith(">") else ():
                yield re.compile(".*".join(map(re.escape, code.split("…"))), re.DOTALL)

    def untold(self, message, *sections):
        patterns = (pattern for name in sections or self.patterns for pattern in self.patterns[name])
        return not any(pattern.search(html.unescape(message)) for pattern in patterns)

    def test_each_reason_has_a_section_with_its_text(self):
        said = run("explain-code").stdout
        reasons = re.findall(r"^\| \[`([a-z-]+)`\]\(troubleshooting\.md#\1\)", (DOCS / "reasons.md").read_text(), re.MULTILINE)
        self.assertGreater(len(reasons), 50)
        for reason in reasons:
            self.assertIn(reason, said)
            self.assertIn(reason, self.sections)
            self.assertRegex(self.sections[reason], r"\A\n> ")

    def test_each_message_is_found_by_its_text_in_the_section_of_its_reason(self):
        rows = list(Page(DOCS / "messages.md").rows())
        self.assertGreater(len(rows), 70)
        for situation, _, code, message, fix in rows:
            reason = re.search(r"\(troubleshooting\.md#([a-z-]+)\)", code)[1]
            self.assertFalse(self.untold(f"{message}; {fix}", reason), f"docs/troubleshooting.md, {reason}, has no text of: {message}; {fix}")

    def test_each_message_has_an_anchor_of_its_own(self):
        anchors = re.findall(r"<a id=\"([^\"]+)\">", (DOCS / "messages.md").read_text())
        self.assertEqual(len(anchors), len(set(anchors)))
        self.assertEqual(len(anchors), len(list(Page(DOCS / "messages.md").rows())))

    def test_each_message_of_the_other_pages_is_found_by_its_text(self):
        columns = {"pod-identity-errors.md": slice(-1, None), "identity-modes.md": slice(2, None), "objects.md": slice(-1, None), "cloud-errors.md": slice(3, 4)}
        messages = [(name, text) for name, at in columns.items() for cells in Page(DOCS / name).rows() for text in cells[at]]
        self.assertGreater(len(messages), 120)
        for name, text in messages:
            self.assertFalse(self.untold(text), f"docs/troubleshooting.md has no text of this message of {name}: {text}")

    def test_a_message_that_no_section_has_is_told(self):
        self.assertTrue(self.untold("object 1: has the wrong colour"))


if __name__ == "__main__":
    unittest.main()
