"""The tables of docs/versions.md, made of what `matrix` has run and of nothing else."""

import json
import re
import xml.etree.ElementTree
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"
RUNS, PAGE = DOCS / "versions.json", DOCS / "versions.md"

# The lines of a run, in the order of the columns: the names that tests' marks give.
LINES = ("mount", "refuse", "rotate", "sync", "upgrade", "failed refresh")
# What tests tell of events, and the column's heading.
SHOWN = {"refused": "the cloud refuses a refresh", "class": "the SecretProviderClass is gone"}
BEGIN, END = "<!-- `make e2e-matrix` writes from here: {} -->", "<!-- to here: {} -->"


class NotRun(Exception):
    pass


def run_of(report, kubernetes, driver, date):
    """The entry of one run, from pytest's report in JUnit's form. The node itself must have told these versions."""
    lines, shown, ran_on = {}, {}, set()
    for case in xml.etree.ElementTree.fromstring(report).iter("testcase"):
        told = {}
        for entry in case.iter("property"):
            told.setdefault(entry.get("name"), []).append(entry.get("value"))
        if "line" not in told:
            continue
        [line] = told["line"]
        if case.find("skipped") is not None:
            raise NotRun(f"{line} was skipped")
        passed = case.find("failure") is None and case.find("error") is None
        # A line of several tests has passed if all have.
        lines[line] = "passed" if passed and lines.get(line) != "failed" else "failed"
        ran_on |= set(told.get("ran on", []))
        for text in told.get("shown", []):
            name, _, what = text.partition(": ")
            shown[name] = what
    if missing := [line for line in LINES if line not in lines]:
        raise NotRun(f"no result of {', '.join(missing)}")
    if ran_on != {f"v{kubernetes}/v{driver}"}:
        raise NotRun(f"not on Kubernetes {kubernetes} with driver {driver}: {', '.join(sorted(ran_on)) or 'the node told no versions'}")
    ordered = {line: lines[line] for line in LINES}
    return {"kubernetes": kubernetes, "driver": driver, "date": date, "lines": ordered, "shown": shown}


def numbers(version):
    return [int(part) for part in version.split(".")]


def added(runs, run):
    """The runs with this one in place of an earlier one of the same pair, newest versions first."""

    def pair(entry):
        return numbers(entry["kubernetes"]), numbers(entry["driver"])

    kept = [entry for entry in runs if pair(entry) != pair(run)]
    return sorted([*kept, run], key=pair, reverse=True)


def table(headings, rows):
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def tables(runs):
    """By the name in their markers."""
    pairs = [[entry["kubernetes"], entry["driver"]] for entry in runs]
    results = [[*pair, entry["date"], *entry["lines"].values()] for pair, entry in zip(pairs, runs)]
    seen = [[*pair, *(entry["shown"].get(name, "not looked at") for name in SHOWN)] for pair, entry in zip(pairs, runs)]
    return {
        "results": table(["Kubernetes", "driver", "run on", *LINES], results),
        "events": table(["Kubernetes", "driver", *SHOWN.values()], seen),
    }


def page(text, runs):
    """The page with its tables written anew."""
    for name, made in tables(runs).items():
        begin, end = BEGIN.format(name), END.format(name)
        text, count = re.subn(f"{re.escape(begin)}.*?{re.escape(end)}", lambda _: f"{begin}\n\n{made}\n\n{end}", text, flags=re.DOTALL)
        if count != 1:
            raise ValueError(f"{count} places for the table {name}")
    return text


def written(runs):
    """Each run, and each thing that it saw, on a line of its own."""
    return json.dumps(runs, indent=1) + "\n"


def read():
    return json.loads(RUNS.read_text())


def write(runs):
    RUNS.write_text(written(runs))
    PAGE.write_text(page(PAGE.read_text(), runs))
