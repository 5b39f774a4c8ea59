"""The tables of docs/versions.md: made of docs/versions.json, and that of what a node has run; and how a Kubernetes is pinned."""

import importlib.machinery
import importlib.util
import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True


def script(path):
    """By itself: the package would want what starts nodes."""
    loader = importlib.machinery.SourceFileLoader(pathlib.Path(path).stem.replace("-", "_"), str(ROOT / "e2e/cluster" / path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


versions, pin = script("versions.py"), script("tools/pin-kubernetes")

ON = "v1.37.2/v1.6.0"
FAILED = '<failure message="assert"/>'


def case(line, ran_on=ON, what="", shown=()):
    told = [("line", line), *([("ran on", ran_on)] if ran_on else []), *(("shown", text) for text in shown)]
    entries = "".join(f'<property name="{name}" value="{value}"/>' for name, value in told if name)
    return f'<testcase name="test"><properties>{entries}</properties>{what}</testcase>'


def report(*more, without=None, **options):
    cases = [case(line, **options) for line in versions.LINES if line != without]
    return f'<testsuites><testsuite>{"".join([*cases, *more])}</testsuite></testsuites>'


def run_of(text):
    return versions.run_of(text, "1.37.2", "1.6.0", "2026-01-31")


def entry(kubernetes, driver, date="2026-01-31"):
    return {"kubernetes": kubernetes, "driver": driver, "date": date, "lines": dict.fromkeys(versions.LINES, "passed"), "shown": {}}


class Runs(unittest.TestCase):
    def test_each_line_that_passed_has_passed(self):
        run = run_of(report(case("mount", shown=["class: `FailedMount` from kubelet: so"])))
        self.assertEqual(run["lines"], dict.fromkeys(versions.LINES, "passed"))
        self.assertEqual(run["shown"], {"class": "`FailedMount` from kubelet: so"})

    def test_a_line_with_one_failure_among_its_tests_has_failed(self):
        for what in (FAILED, "<error/>"):
            for text in (report(case("sync", what=what)), report(case("sync"), case("sync", what=what), case("sync"), without="sync")):
                lines = run_of(text)["lines"]
                self.assertEqual([line for line in lines if lines[line] != "passed"], ["sync"])
                self.assertEqual(tuple(lines), versions.LINES)

    def test_what_was_not_run_is_no_line(self):
        faults = {
            "no result of rotate": report(without="rotate"),
            "rotate was skipped": report(case("rotate", what="<skipped/>")),
            "the node told no versions": report(ran_on=None, what="<error/>"),
            "not on Kubernetes 1.37.2 with driver 1.6.0: v1.34.2/v1.6.0": report(ran_on="v1.34.2/v1.6.0"),
            "v1.37.2/v1.5.6, v1.37.2/v1.6.0": report(case("mount", ran_on="v1.37.2/v1.5.6")),
        }
        for said, text in faults.items():
            with self.assertRaisesRegex(versions.NotRun, said):
                run_of(text)

    def test_tests_without_a_line_do_not_count(self):
        self.assertEqual(run_of(report('<testcase name="other"><failure/></testcase>'))["lines"]["mount"], "passed")


class Pages(unittest.TestCase):
    def test_a_run_replaces_that_of_its_pair_and_newer_versions_come_first(self):
        runs = []
        for pair in (("1.9.1", "1.6.0"), ("1.34.2", "1.5.6"), ("1.34.2", "1.16.0")):
            runs = versions.added(runs, entry(*pair))
        runs = versions.added(runs, entry("1.9.1", "1.6.0", date="2026-02-28"))
        seen = [(run["kubernetes"], run["driver"], run["date"]) for run in runs]
        self.assertEqual(seen, [("1.34.2", "1.16.0", "2026-01-31"), ("1.34.2", "1.5.6", "2026-01-31"), ("1.9.1", "1.6.0", "2026-02-28")])

    def test_tables_are_written_between_their_marks(self):
        places = "\n\n".join(f"text {name}\n{versions.BEGIN.format(name)}\nold\n{versions.END.format(name)}" for name in ("results", "events"))
        page = versions.page(places, [entry("1.37.2", "1.6.0")])
        self.assertIn("| 1.37.2 | 1.6.0 | 2026-01-31 | passed |", page)
        self.assertIn("| 1.37.2 | 1.6.0 | not looked at | not looked at |", page)
        self.assertNotIn("old", page)
        self.assertEqual(versions.page(page, [entry("1.37.2", "1.6.0")]), page)
        with self.assertRaises(ValueError):
            versions.page("no marks", [])

    def test_the_page_says_what_was_run(self):
        self.assertEqual(versions.page(versions.PAGE.read_text(), versions.read()), versions.PAGE.read_text())
        self.assertEqual(versions.written(versions.read()), versions.RUNS.read_text())


class Pins(unittest.TestCase):
    def test_staging_modules_have_the_releases_number(self):
        told = {"Go": "1.26.0", "Require": [{"Path": "k8s.io/api", "Version": "v0.0.0"}, {"Path": "k8s.io/klog/v2", "Version": "v2.130.1"}]}
        # Of some, Kubernetes requires nothing and only says where they are.
        told["Replace"] = [{"Old": {"Path": "k8s.io/sample-apiserver"}, "New": {"Path": "./staging"}}]
        text = pin.go_mod("1.37.2", told)
        self.assertIn("require k8s.io/kubernetes v1.37.2\n", text)
        self.assertIn("\tk8s.io/api => k8s.io/api v0.37.2\n\tk8s.io/sample-apiserver => k8s.io/sample-apiserver v0.37.2\n", text)
        self.assertNotIn("klog", text)

    def test_an_older_one_keeps_its_settings_under_a_line_that_knows_tools(self):
        self.assertRegex(pin.go_mod("1.30.14", {"Go": "1.22.0", "Require": []}), "go 1.24.0\n\ngodebug default=go1.22\n")
        self.assertRegex(pin.go_mod("1.37.2", {"Go": "1.26.0", "Require": []}), "go 1.26.0\n\ngodebug default=go1.26\n")

    def test_each_pinned_version_is_of_one_release(self):
        for folder in (ROOT / "e2e/cluster/tools").glob("kubernetes-*"):
            version = folder.name.removeprefix("kubernetes-")
            text = (folder / "go.mod").read_text()
            self.assertIn(f"require k8s.io/kubernetes v{version}\n", text)
            replaced = [line.split() for line in text.splitlines() if " => " in line]
            self.assertEqual({(line[0] == line[2], line[3]) for line in replaced}, {(True, f"v0.{version.removeprefix('1.')}")})


if __name__ == "__main__":
    unittest.main()
