"""Adds up what the test runners of tests/run.sh reported: failures, skips with their reasons, the slowest, the sum.

usage: summary.py DIRECTORY. There, for each runner: LABEL.exit, its exit code, and LABEL.meson.json (meson's log, one JSON
object a line) or LABEL.pytest.xml (JUnit), and LABEL.again.xml of the few that failed and were run once more: one that passes
then counts as passed, and is named as unsteady. `summary.py --failed XML` prints those few, as pytest takes them. A cmocka program prints TAP, and each of its cases counts; any other program is
one case. A skip without a reason, a program that ends before its last case, a runner that fails without naming a case or
leaves no report: each is a failure.
"""

import dataclasses
import glob
import json
import os
import re
import sys
import xml.etree.ElementTree

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
SLOWEST_COUNT = 5
AGAIN_MAX = 3
PYTEST_RAN_NOTHING = 5


@dataclasses.dataclass
class Case:
    name: str
    outcome: str
    detail: str = ""


@dataclasses.dataclass
class Timing:
    name: str
    seconds: float


def skip(name, reason):
    return Case(name, SKIPPED, reason) if reason else Case(name, FAILED, "skipped without a reason")


def cases_of_tap(program, test):
    """cmocka 1.1.5 writes a skip as `not ok N # SKIP name`; the test prints its reason before it, as `# skipped: reason`.
    What went wrong follows a `not ok`, as comments."""
    cases, planned, reason = [], 0, ""
    for line in test["stdout"].splitlines():
        if plan := re.fullmatch(r"1\.\.(\d+)", line):
            planned += int(plan[1])
        elif result := re.fullmatch(r"(not )?ok \d+ (?:- )?(# SKIP )?(.*)", line):
            name = f"{program}: {result[3]}"
            if result[2]:
                cases.append(skip(name, reason))
            else:
                cases.append(Case(name, FAILED if result[1] else PASSED))
            reason = ""
        elif line.startswith("# skipped: "):
            reason = line.removeprefix("# skipped: ").strip()
        elif line.startswith("# ") and not re.match(r"# (not )?ok - ", line) and cases and cases[-1].outcome == FAILED:
            cases[-1].detail += line.removeprefix("# ") + "\n"
    if len(cases) < planned:
        cases.append(Case(f"{program}: ended after {len(cases)} of {planned} cases", FAILED, how_it_ended(test)))
    elif test["returncode"] != 0 and all(case.outcome != FAILED for case in cases):
        cases.append(Case(f"{program}: all cases passed, and yet it failed", FAILED, how_it_ended(test)))
    return cases


def how_it_ended(test):
    text = (test.get("stderr") or test["stdout"]).strip()
    return f"{test['result']}, exit code {test['returncode']}\n{text[-6000:]}"


def read_meson(label, path):
    cases, timings = [], []
    with open(path) as file:
        for test in map(json.loads, file):
            program = f"{label}: {test['name']}"
            timings.append(Timing(program, test["duration"]))
            if re.search(r"^1\.\.\d+$", test["stdout"], re.MULTILINE):
                cases += cases_of_tap(program, test)
            elif test["result"] == "SKIP":
                cases.append(skip(program, test["stdout"].strip()))
            elif test["result"] in ("OK", "EXPECTEDFAIL"):
                cases.append(Case(program, PASSED))
            else:
                cases.append(Case(program, FAILED, how_it_ended(test)))
    return cases, timings


def read_pytest(label, path):
    cases, timings = [], []
    for element in xml.etree.ElementTree.parse(path).iter("testcase"):
        name = f"{label}: {element.get('name')}"
        timings.append(Timing(name, float(element.get("time", 0))))
        broken = element.findall("failure") + element.findall("error")
        skipped = element.find("skipped")
        if broken:
            cases.append(Case(name, FAILED, broken[0].get("message", "").partition("\n")[0]))
        elif skipped is not None:
            cases.append(skip(name, skipped.get("message", "").removeprefix("unconditional skip")))
        else:
            cases.append(Case(name, PASSED))
    return cases, timings


def broken_elements(path):
    return [e for e in xml.etree.ElementTree.parse(path).iter("testcase") if e.find("failure") is not None or e.find("error") is not None]


def print_failed(path):
    broken = broken_elements(path) if os.path.exists(path) else []
    if len(broken) <= AGAIN_MAX:
        for element in broken:
            print(f"{element.get('classname').replace('.', '/')}.py::{element.get('name')}")


def take_unsteady(label, cases, again):
    """A real fault fails twice; what fails once in a whole run of clocks and brokers is said, and does not stop it."""
    still = {f"{label}: {e.get('name')}" for e in broken_elements(again)}
    for case in cases:
        if case.outcome == FAILED and case.name not in still:
            case.outcome = PASSED
            print(f"unsteady: {case.name}: failed, and passed when it was run again\n    {case.detail}")


def read_runner(directory, label):
    with open(f"{directory}/{label}.exit") as file:
        code = int(file.read())
    for ending, read in ((".meson.json", read_meson), (".pytest.xml", read_pytest)):
        path = f"{directory}/{label}{ending}"
        if os.path.exists(path):
            cases, timings = read(label, path)
            if os.path.exists(again := f"{directory}/{label}.again.xml"):
                take_unsteady(label, cases, again)
                code = 0
            break
    else:
        return [Case(f"{label}: left no report", FAILED, f"exit code {code}")], []
    ran_nothing = read is read_pytest and code == PYTEST_RAN_NOTHING
    if code != 0 and not ran_nothing and all(case.outcome != FAILED for case in cases):
        if not (read is read_meson and any(case.outcome == SKIPPED for case in cases)):   # meson takes cmocka's skips for failures
            cases.append(Case(f"{label}: failed without naming a test", FAILED, f"exit code {code}"))
    return cases, timings


def main():
    if sys.argv[1] == "--failed":
        print_failed(sys.argv[2])
        return 0
    directory = sys.argv[1]
    cases, timings = [], []
    for path in sorted(glob.glob(f"{directory}/*.exit")):
        more_cases, more_timings = read_runner(directory, os.path.basename(path).removesuffix(".exit"))
        cases += more_cases
        timings += more_timings

    for outcome in (SKIPPED, FAILED):
        for case in cases:
            if case.outcome == outcome:
                print(f"{outcome}: {case.name}" + (f" ({case.detail})" if outcome == SKIPPED else ""))
                if outcome == FAILED and case.detail:
                    print("    " + case.detail.strip().replace("\n", "\n    "))
    print("the slowest:")
    for timing in sorted(timings, key=lambda timing: -timing.seconds)[:SLOWEST_COUNT]:
        print(f"  {timing.seconds:7.2f} s  {timing.name}")
    count = {outcome: sum(case.outcome == outcome for case in cases) for outcome in (PASSED, FAILED, SKIPPED)}
    print(f"{count[PASSED]} passed, {count[FAILED]} failed, {count[SKIPPED]} skipped")
    return 1 if count[FAILED] or not count[PASSED] else 0


if __name__ == "__main__":
    sys.exit(main())
