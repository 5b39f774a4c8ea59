#!/usr/bin/env python3
"""Writes the pages of docs/reference from what the program says with --help."""

import argparse
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from pages import DOCS, PROGRAM  # noqa: E402

OPTION = re.compile(r"^ {2,6}(?P<short>-\w, )?(?P<flag>--[a-z][a-z-]*)(?P<value>[^\s].*?| <.*?>\S*(?: <\w+>)?)?(?:\s{2,}(?P<text>\S.*))?$")
PREFIX = "ALIBABACLOUD_PROVIDER_"


class Option:
    def __init__(self, short, flag, value, text):
        self.short, self.flag, self.value, self.text = short, flag, value, text

    @property
    def names(self):
        """Variables of other names."""
        also = re.search(r"\[also: ([^\]]*)\]", self.text)
        return re.findall(r"[A-Za-z_]{4,}(?:=\w+)?", also[1].split(", which")[0]) if also else []

    @property
    def default(self):
        found = re.search(r"\[default: ([^\]]*)\]", self.text)
        return found[1] if found else ""

    @property
    def meaning(self):
        return re.sub(r"\s*\[(default|also): [^\]]*\]", "", self.text)


class Help:
    """What --help of a command says: its options below their headings, and its commands."""

    def __init__(self, text):
        self.text = text
        self.about = text.split("\n\nUsage:")[0].strip()
        self.usage = re.findall(r"^(?:Usage:|      ) +(\S.*)$", text, re.MULTILINE)[:2]
        self.groups, self.commands = {}, []
        group, option = None, None
        for line in text.splitlines():
            found = OPTION.match(line)
            heading = re.match(r"^(\S.*):$", line)
            if heading:
                group, option = heading[1], None
            elif group == "Commands" and re.match(r"^  \w", line):
                self.commands.append(line.split()[0])
            elif found and group not in ("Examples", None):
                option = Option(found["short"] or "", found["flag"], (found["value"] or "").strip(), found["text"] or "")
                self.groups.setdefault(group, []).append(option)
            elif option and line.startswith("      "):
                option.text = f"{option.text} {line.strip()}".strip()
            elif line.strip():
                option = None

    @property
    def options(self):
        return [option for options in self.groups.values() for option in options]


def helps(program, words=()):
    """Each command with its help, the program itself first."""
    said = subprocess.run([program, *words, "--help"], check=True, stdout=subprocess.PIPE, text=True)
    found = Help(said.stdout)
    yield words, found
    for command in found.commands:
        yield from helps(program, (*words, command))


def cell(text):
    """A flag's help as a cell: placeholders are no tags, and what looks like code is code."""
    text = re.sub(r"(?<![\w`/-])(--[a-z][a-z-]+(?:=[\w./:-]*[\w/])?)", r"`\1`", text)
    text = re.sub(r"<([A-Z][\w.,]*)>", r"`<\1>`", text)
    return re.sub(r"(?<!`)\*", r"\\*", text).replace("|", "\\|")


def table(options):
    yield "| flag | meaning | default |"
    yield "|---|---|---|"
    for option in options:
        if option.flag not in ("--help", "--version"):
            value = option.value if option.value.startswith(("[", "=")) else f" {option.value}" if option.value else ""
            shown = f"{option.short}{option.flag}{value}".replace("|", "\\|")
            yield f"| `{shown}` | {cell(option.meaning)} | {cell(option.default)} |"


def flags(program):
    lines = ["# Commands and flags", "", "What `--help` says, and made of it. [Environment variables](environment.md) set the same."]
    for words, found in helps(program):
        lines += ["", f"## {' '.join(words) or 'The provider'}", "", found.about.split("\n\n")[0].replace("\n", " ")]
        if found.commands and words:
            lines += ["", "Commands: " + ", ".join(f"[`{c}`](#{'-'.join([*words, c])})" for c in found.commands) + "."]
        for group, options in found.groups.items():
            shown = [option for option in options if option.flag not in ("--help", "--version")]
            if shown:
                lines += ["", f"{group}:", "", *table(shown)]
        status = re.search(r"^Exit status: (.*?)(?:\n\n|\Z)", found.text, re.MULTILINE | re.DOTALL)
        if status:
            lines += ["", "Exit status: " + cell(" ".join(status[1].split())).replace("\\|", "|")]
    return "\n".join(lines) + "\n"


def environment(program):
    (_, provider), *_ = helps(program)
    tail = provider.text.split("Every flag is an environment variable too", 1)[1]
    keys, also = (re.search(pattern, tail, re.DOTALL) for pattern in (r"Access keys come from(.*?)\.\n", r"Also read: (.*?)\. Not used: (.*?)\."))
    names = lambda text: ", ".join(f"`{name}`" for name in re.findall(r"[A-Z][A-Z0-9_]{5,}", text))  # noqa: E731
    lines = [
        "# Environment variables",
        "",
        f"Every flag is a variable too: `{PREFIX}` and the flag in capitals. Any other variable with this prefix is a",
        "mistake, and ends the start. Flags win over these, and these over the other names, which must agree where several are",
        "set. An empty value is the same as none. What each means: [Commands and flags](flags.md).",
        "",
        "| flag | variable | other names |",
        "|---|---|---|",
    ]
    for option in provider.options:
        if option.flag not in ("--help", "--version"):
            variable = PREFIX + option.flag[2:].upper().replace("-", "_")
            lines.append(f"| `{option.flag}` | `{variable}` | {', '.join(f'`{name}`' for name in option.names)} |")
    lines += [
        "",
        f"Access keys come from the environment alone: {names(keys[1])}.",
        "",
        f"Also read: {names(also[1])}. Not used: {names(also[2])}.",
    ]
    return "\n".join(lines) + "\n"


PAGES = {"flags.md": flags, "environment.md": environment}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", help=f"{PROGRAM}, built")
    given = parser.parse_args()
    for name, page in PAGES.items():
        (DOCS / "reference" / name).write_text(page(given.program))


if __name__ == "__main__":
    main()
