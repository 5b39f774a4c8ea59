"""Catalogue: the texts of a gettext file, with where they are and their translations."""

import json
import re


class Catalogue:
    def __init__(self, text):
        # Text to places, and to its translation.
        self.texts, self.translations = {}, {}
        for entry in text.split("\n\n"):
            quoted = re.search(r'^msgid ((?:".*"\n?)+)msgstr ((?:".*"\n?)+)', entry, re.MULTILINE)
            said, translation = (self.unquoted(part) for part in quoted.groups()) if quoted else ("", "")
            if said:
                places = [place for line in entry.splitlines() if line.startswith("#: ") for place in line[3:].split()]
                self.texts[said] = places
                self.translations[said] = translation

    @staticmethod
    def unquoted(lines):
        return "".join(json.loads(line) for line in lines.strip().splitlines())

    @staticmethod
    def is_prose(text):
        """What a person reads and not a program: no code, no name of a reason, nothing in quotes."""
        rest = re.sub(r"`[^`]*`|\]\([^)]*\)", "", text)
        return " " in rest.strip(" ·,.") and re.search(r"[A-Za-z]{2}", rest) is not None and not text.startswith(('"', "#", "-"))
