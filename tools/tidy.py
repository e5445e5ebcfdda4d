#!/usr/bin/env python3
"""Runs clang-tidy over the C++ sources that changed since main (or all but tests, or those named), as the build compiles them.

    tidy.py [--jobs N] [--all | FILE…]      exit 1 when clang-tidy finds something

The build's compile commands are rewritten: clang cannot read the compiler's precompiled header, so the header itself is included.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import ROOT  # noqa: E402


def changed_files():
    for base in ("origin/main", "main"):
        merge = subprocess.run(["git", "merge-base", "HEAD", base], cwd=ROOT, capture_output=True, text=True)
        if merge.returncode == 0:
            names = subprocess.run(["git", "diff", "--name-only", "--diff-filter=d", merge.stdout.strip()], cwd=ROOT, capture_output=True, text=True, check=True)
            return [name for name in names.stdout.splitlines() if name.endswith(".cc")]
    return []


def compile_commands(build):
    """Rewritten commands by absolute source path; also kept in .deps/tidy/ for clang-tidy."""
    commands = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        if entry["file"].endswith((".hxx.cxx", ".hxx.c")):
            continue
        command = re.sub(r"^.*? (?=/\S*(c\+\+|g\+\+|gcc|cc) )", "", entry["command"], count=1)
        command = re.sub(r"-Winvalid-pch|-fpch-preprocess", "", command)
        command = re.sub(r"-include \S*cmake_pch\.hxx", f"-include {ROOT}/cmake/pch.h", command)
        commands[entry["file"]] = dict(entry, command=command)
    folder = ROOT / ".deps" / "tidy"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "compile_commands.json").write_text(json.dumps(list(commands.values())))
    return folder, commands


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--jobs", type=int, default=os.cpu_count())
    arguments.add_argument("--all", action="store_true")
    arguments.add_argument("files", nargs="*")
    asked = arguments.parse_args()
    tool = shutil.which("clang-tidy-16")
    if not tool:
        print("clang-tidy-16 is not installed. Cure: ./run setup tidy", file=sys.stderr)
        return 1
    folder, commands = compile_commands(ROOT / "build")
    wanted = [str(ROOT / name) for name in (asked.files or changed_files())]
    files = sorted(name for name in commands if name in wanted or (asked.all and not name.endswith("_test.cc")))

    def tidy(name):
        done = subprocess.run([tool, "-p", str(folder), "--quiet", "--warnings-as-errors=*", name], capture_output=True, text=True)
        return name, done.returncode, done.stdout + (done.stderr if done.returncode else "")

    failed = 0
    with concurrent.futures.ThreadPoolExecutor(asked.jobs) as pool:
        for name, code, output in pool.map(tidy, files):
            failed += code != 0
            if code != 0:
                print(os.path.relpath(name, ROOT), output, sep="\n", flush=True)
    print(f"clang-tidy: {len(files)} files, {failed} with findings")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
