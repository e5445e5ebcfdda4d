#!/usr/bin/env python3
"""Runs one group of tests and keeps its counts; `close` adds all groups up and prints the one closing line.

    tally.py case RESULTS NAME -- COMMAND…     one check: exit 0 is passed
    tally.py unittest RESULTS FOLDER           Python unittest files of a folder
    tally.py ctest RESULTS BUILD JOBS [ROOM…]  test programs; their cases are counted, not the programs
    tally.py pytest RESULTS PATH…              run with the Python that has pytest
    tally.py close RESULTS                     prints `N passed, N failed`, exit 1 when something failed or nothing ran

A program that dies counts as one failure besides what it reported, so a crash is never a pass.
"""
import json
import os
import pathlib
import subprocess
import sys
import time
import unittest
import xml.etree.ElementTree as ElementTree

PYTEST_SECONDS_MAX = 2400


def record(results, group, passed, failed, skipped=0, failures=()):
    results.mkdir(parents=True, exist_ok=True)
    counts = {"group": group, "passed": passed, "failed": failed, "skipped": skipped, "failures": list(failures)}
    (results / f"{group}.json").write_text(json.dumps(counts, indent=1))
    return 1 if failed else 0


def run_case(results, name, command):
    start = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(f"  {name:<58} {'ok' if done.returncode == 0 else 'FAILED'} ({time.monotonic() - start:.1f} s)")
    if done.returncode != 0:
        print(done.stdout, flush=True)
    return record(results, name, int(done.returncode == 0), int(done.returncode != 0), failures=[name] * bool(done.returncode))


def run_unittest(results, folder):
    outcome = unittest.TextTestRunner(stream=sys.stdout).run(unittest.defaultTestLoader.discover(folder, pattern="*_test.py"))
    bad = [str(case) for case, _ in outcome.failures + outcome.errors] + [str(case) for case in outcome.unexpectedSuccesses]
    skipped = len(outcome.skipped)
    return record(results, "tools", outcome.testsRun - len(bad) - skipped, len(bad), skipped, bad)


def gtest_counts(report):
    """(passed, failed, skipped, names of the failed) of one GoogleTest JSON report; skipped ones are named on the terminal."""
    passed, skipped, failed = 0, 0, []
    for suite in report.get("testsuites", []):
        for case in suite.get("testsuite", []):
            if case.get("failures"):
                failed.append(f"{suite['name']}.{case['name']}")
            elif case.get("result") == "SKIPPED" or case.get("status") == "NOTRUN":
                skipped += 1
                print(f"  skipped: {suite['name']}.{case['name']}")
            else:
                passed += 1
    return passed, len(failed), skipped, failed


def run_ctest(results, build, jobs, rooms, output=None):
    reports = results / "gtest"
    reports.mkdir(parents=True, exist_ok=True)
    junit = (results / "ctest.xml").resolve()
    select = ["-R", "^(" + "|".join(rooms) + ")$"] if rooms else []
    env = dict(os.environ, GTEST_OUTPUT=f"json:{reports.resolve()}/")
    subprocess.run(["ctest", "--test-dir", build, "-j", jobs, "--output-on-failure", "--no-tests=ignore", "--output-junit", str(junit), *select], env=env, stdout=output, stderr=output)
    passed = failed = skipped = 0
    failures = []
    for case in ElementTree.parse(junit).getroot().iter("testcase"):
        name, status = case.get("name"), case.get("status")
        report = reports / f"{name}_test.json"
        counted = (0, 0, 0, [])
        if report.exists():
            try:
                counted = gtest_counts(json.loads(report.read_text()))
            except ValueError:
                status = "fail"
        elif status == "run":
            counted = (1, 0, 0, [])
        passed, failed, skipped, failures = passed + counted[0], failed + counted[1], skipped + counted[2], failures + counted[3]
        if status != "run" and counted[1] == 0:
            failed += 1
            failures.append(f"{name} (the program: {status})")
    return record(results, "unit", passed, failed, skipped, failures)


def run_pytest(results, paths):
    junit = results / "pytest.xml"
    results.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "-o", "faulthandler_timeout=600", f"--junitxml={junit}", *paths]
    try:
        code = subprocess.run(command, timeout=PYTEST_SECONDS_MAX).returncode
    except subprocess.TimeoutExpired:
        code = f"no answer within {PYTEST_SECONDS_MAX} s"
    passed = failed = skipped = 0
    failures = []
    if junit.exists():
        for case in ElementTree.parse(junit).getroot().iter("testcase"):
            if case.find("failure") is not None or case.find("error") is not None:
                failed += 1
                failures.append(f"{case.get('classname')}.{case.get('name')}")
            elif case.find("skipped") is not None:
                skipped += 1
            else:
                passed += 1
    if code not in (0, 5) and failed == 0:
        failed += 1
        failures.append(f"pytest itself ended with {code}")
    return record(results, "system", passed, failed, skipped, failures)


def close(results):
    groups = [json.loads(path.read_text()) for path in sorted(results.glob("*.json"))]
    for group in groups:
        print(f"  {group['group']:<12} {group['passed']:>5} passed {group['failed']:>4} failed {group['skipped']:>4} skipped")
    for group in groups:
        for failure in group["failures"]:
            print(f"  FAILED {group['group']}: {failure}")
    passed, failed, skipped = (sum(group[key] for group in groups) for key in ("passed", "failed", "skipped"))
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or not passed else 0


def main(arguments):
    verb, results, rest = arguments[0], pathlib.Path(arguments[1]), arguments[2:]
    if verb == "case":
        return run_case(results, rest[0], rest[2:])
    if verb == "unittest":
        return run_unittest(results, rest[0])
    if verb == "ctest":
        return run_ctest(results, rest[0], rest[1], rest[2:])
    if verb == "pytest":
        return run_pytest(results, rest)
    if verb == "close":
        return close(results)
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
