"""What tests/summary.py counts."""

import json
import os
import subprocess
import sys

import pytest

SUMMARY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "summary.py")


def meson(stdout, result="OK", returncode=0, stderr="", duration=0.1):
    return json.dumps(dict(name="window", stdout=stdout, stderr=stderr, result=result, returncode=returncode, duration=duration))


def junit(inside):
    return f'<testsuites><testsuite><testcase name="a" time="2.5">{inside}</testcase></testsuite></testsuites>'


def summarise(directory, reports):
    """reports: label -> (exit code, report's file ending, its text)"""
    for label, (code, ending, text) in reports.items():
        (directory / f"{label}.exit").write_text(f"{code}\n")
        if ending:
            (directory / f"{label}.{ending}").write_text(text)
    done = subprocess.run([sys.executable, SUMMARY, directory], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


MESON, PYTEST = "meson.json", "pytest.xml"


@pytest.mark.parametrize("report, last_line, code", [
    ((0, MESON, meson("1..2\nok 1 - one\nok 2 - two\n")), "2 passed, 0 failed, 0 skipped", 0),
    ((0, MESON, meson("no TAP")), "1 passed, 0 failed, 0 skipped", 0),
    ((1, MESON, meson("1..2\nok 1 - one\nnot ok 2 - two\n# 1 != 2\n", "ERROR", 1)), "1 passed, 1 failed, 0 skipped", 1),
    ((1, MESON, meson("1..2\nok 1 - one\n# skipped: no disk\nnot ok 2 # SKIP two\n", "FAIL")), "1 passed, 0 failed, 1 skipped", 0),
    ((1, MESON, meson("1..2\nok 1 - one\nnot ok 2 # SKIP two\n", "FAIL")), "1 passed, 1 failed, 0 skipped", 1),
    ((1, MESON, meson("1..3\nok 1 - one\n", "ERROR", -6)), "1 passed, 1 failed, 0 skipped", 1),
    ((1, MESON, meson("1..1\nok 1 - one\n", "ERROR", 1, "leaked")), "1 passed, 1 failed, 0 skipped", 1),
    ((1, MESON, meson("", "TIMEOUT", -15)), "0 passed, 1 failed, 0 skipped", 1),
    ((0, MESON, meson("", "SKIP", 77)), "0 passed, 1 failed, 0 skipped", 1),
    ((0, PYTEST, junit("")), "1 passed, 0 failed, 0 skipped", 0),
    ((1, PYTEST, junit('<failure message="no"/>')), "0 passed, 1 failed, 0 skipped", 1),
    ((0, PYTEST, junit('<skipped message="not here"/>')), "0 passed, 0 failed, 1 skipped", 1),
    ((0, PYTEST, junit('<skipped message="unconditional skip"/>')), "0 passed, 1 failed, 0 skipped", 1),
    ((5, PYTEST, "<testsuites/>"), "0 passed, 0 failed, 0 skipped", 1),
    ((3, PYTEST, junit("")), "1 passed, 1 failed, 0 skipped", 1),
    ((2, None, ""), "0 passed, 1 failed, 0 skipped", 1),
])
def test_one_runner(tmp_path, report, last_line, code):
    assert (summarise(tmp_path, {"unit": report})[1][-1], summarise(tmp_path, {"unit": report})[0]) == (last_line, code)


def test_runners_add_up_and_the_slowest_comes_first(tmp_path):
    code, lines = summarise(tmp_path, {"unit": (0, MESON, meson("1..2\nok 1 - one\nok 2 - two\n")), "layout": (0, PYTEST, junit(""))})
    assert code == 0
    assert lines == ["the slowest:", "     2.50 s  layout: a", "     0.10 s  unit: window", "3 passed, 0 failed, 0 skipped"]


def test_a_failure_and_a_skip_say_why(tmp_path):
    _, lines = summarise(tmp_path, {"unit": (1, MESON, meson("1..2\nnot ok 1 - one\n# 0x1 != 0x2\n# skipped: no disk\nnot ok 2 # SKIP two\n", "FAIL", 1))})
    assert lines[:3] == ["skipped: unit: window: two (no disk)", "failed: unit: window: one", "    0x1 != 0x2"]


@pytest.mark.parametrize("again, last_line, code", [
    (junit(""), "1 passed, 0 failed, 0 skipped", 0),
    (junit('<failure message="no"/>'), "0 passed, 1 failed, 0 skipped", 1),
])
def test_what_failed_and_passes_when_it_is_run_again_is_named_as_unsteady(tmp_path, again, last_line, code):
    (tmp_path / "x.again.xml").write_text(again)
    found, lines = summarise(tmp_path, {"x": (1, PYTEST, junit('<failure message="no"/>'))})
    assert (found, lines[-1]) == (code, last_line)
    assert any(line.startswith("unsteady: x: a") for line in lines) == (code == 0)


@pytest.mark.parametrize("count, printed", [(0, 0), (1, 1), (3, 3), (4, 0)])
def test_a_few_that_failed_are_run_again(tmp_path, count, printed):
    """Many at once are no chance."""
    cases = "".join(f'<testcase classname="integration.test_a" name="t{i}"><failure/></testcase>' for i in range(count))
    (tmp_path / "x.xml").write_text(f'<testsuites><testsuite><testcase classname="integration.test_a" name="good"/>{cases}</testsuite></testsuites>')
    done = subprocess.run([sys.executable, SUMMARY, "--failed", tmp_path / "x.xml"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"integration/test_a.py::t{i}" for i in range(printed)]
