#!/usr/bin/env python3
"""Plants one known bug after the other and shows which harness finds it: `./run planted [NAME…] [--json FILE] [--list]`.

The sources are copied to build-planted/tree (a build folder of its own, through ccache); one text is replaced; the test programs
that it can reach are built and run, each with a time limit. The product carries no switch for this. A bug that no harness finds
has survived: exit 1. So has one whose text is no longer there exactly once: the table must follow the code.
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import ROOT, repository_files  # noqa: E402

# Harness: program, arguments, seconds that it gets.
HARNESSES = {
    "simulation": ("tests/simulation/simulate", ["--seeds", "4000", "--seconds", "60", "--no-shrink"], 200),
    "model": ("versioning_test", ["--gtest_filter=EngineModel*:Metamorphic*"], 200),
    "failures": ("versioning_test", ["--gtest_filter=EngineFailures*:EngineKills*:FoldingKills*:RefJournalKills*"], 200),
    "threads": ("versioning_test", ["--gtest_filter=*EngineConcurrency*"], 200),
    "stories": ("versioning_test", ["--gtest_filter=-EngineModel*:EngineFailures*:*Kills*:*EngineConcurrency*:Linear*:GraphOrder*:Metamorphic*"], 300),
    "tree": ("tree_test", [], 200),
    "kv": ("kv_test", [], 200),
    "block": ("block_test", [], 300),
    "crash states": ("tests/crash_states/crash_states", ["--states", "20000", "--seconds", "60"], 200),
}
BY_ROOM = {
    "versioning": ["simulation", "model", "failures", "threads", "stories"],
    "tree": ["tree", "simulation", "model", "stories"],
    "kv": ["kv", "crash states"],
    "block": ["block", "crash states"],
}

# name: (class of the bug, file, old text, which is there exactly once, new text)
PLANTED = {
    "rows-after-s": (
        "acknowledged writes that came after the commit's view count as committed (seq not from the applier's order)",
        "src/versioning/land.cc",
        "std::max(moved.committed_through, candidate->committed_through);",
        "candidate->committed_through ? view->sequence() : moved.committed_through;"),
    "clean-up-newer-rows": (
        "clean-up removes a row without asking whether it is still the one that was committed",
        "src/versioning/land.cc",
        "batch.erase_if_version(row.key, row.version);",
        "batch.erase(row.key);"),
    "background-clean-up": (
        "the background clean-up removes newer rows",
        "src/versioning/engine.cc",
        "batch.erase_if_version((*row)->key, (*row)->row.version);",
        "batch.erase((*row)->key);"),
    "head-without-compare": (
        "the head is moved without compare-and-set",
        "src/versioning/land.cc",
        ".require_version(key, branch.version);",
        ".require_present(key);"),
    "error-is-the-end": (
        "an error of a scan is taken for its end",
        "src/versioning/detail/staged_cursor.h",
        "TRY_LET(std::optional<kv::KeyRow> row, iterator_->next());",
        "auto got = iterator_->next();\n      std::optional<kv::KeyRow> row;\n      if (got) row = std::move(*got);"),
    "ack-before-sync": (
        "the key-value store acknowledges before the sync",
        "src/kv/rocks.cc",
        "how.sync = options_.sync;",
        "how.sync = false;"),
    "name-without-sync": (
        "a file of the key-value store is named in another one before its own name is durable",
        "src/kv/detail/rocks_disk.cc",
        "!synced || unnamed_.empty()) return",
        "true) return"),
    "segment-without-sync": (
        "the object store acknowledges a small object before its segment is synced",
        "src/block/journal.cc",
        "if (auto synced = file->sync(); !synced) {\n    failed_ = true;",
        "if (auto synced = Result<void>(); !synced) {\n    failed_ = true;"),
    "file-without-sync": (
        "the object store acknowledges a large object before its file is synced",
        "src/block/local.cc",
        "KILL_POINT(\"block.file.before_sync\");\n      TRY(file->sync());",
        "KILL_POINT(\"block.file.before_sync\");"),
    "folder-without-sync": (
        "the name of a large object is not made durable",
        "src/block/local.cc",
        "TRY(disk_.sync_directory(file_folder(key)));",
        ""),
    "merge-drops-a-change": (
        "a merge skips the source's change that follows a key which both changed",
        "src/tree/merge.cc",
        "  for (Change& change : first) TRY(decide(std::move(change)));",
        "  for (size_t i = 0; i < first.size(); ++i) {\n    const size_t before = merged.changes.size();\n    TRY(decide(std::move(first[i])));\n    if (merged.changes.size() == before) ++i;\n  }"),
    "merge-by-bytes": (
        "a merge compares stored bytes where it must compare identities",
        "src/tree/merge.cc",
        "if (same_identity(mine, change.right)) return {};",
        "if (same_identity(mine, change.right) && (!mine || mine->mtime_ms == change.right->mtime_ms)) return {};"),
    "wrong-merge-base": (
        "two histories are painted in no order of generations",
        "src/versioning/detail/commit_graph.cc",
        "return generation != other.generation ? generation < other.generation : index < other.index;",
        "return index < other.index;"),
    "protection-of-commits-only": (
        "revert, cherry-pick and import go past the destination's protection",
        "src/versioning/land.cc",
        "!landing.pass && candidate.kind != LandingKind::kMerge)",
        "!landing.pass && candidate.kind == LandingKind::kCommit)"),
    "protection-not-proven": (
        "a rule that is set while a write is under way does not stop it",
        "src/versioning/staging.cc",
        "    batch.require_present(keys::epoch(repository.id, gate.branch_id))\n        .require_version(keys::protection(repository.id), gate.protection_version);",
        "    batch.require_present(keys::epoch(repository.id, gate.branch_id));"),
    "journal-note-forgotten": (
        "a head moves and the ref journal is not told",
        "src/versioning/land.cc",
        "RefJournal::note_branch(batch, repository.id, first.branch);",
        ""),
    "tag-note-forgotten": (
        "a tag goes and the ref journal is not told",
        "src/versioning/refs.cc",
        "batch.require_present(keys::tag(repository.id, name)).erase(keys::tag(repository.id, name));\n  RefJournal::note_tag(batch, repository.id, name);",
        "batch.require_present(keys::tag(repository.id, name)).erase(keys::tag(repository.id, name));"),
    "snapshot-goes-too": (
        "the ref journal removes its new snapshot with what it stands for",
        "src/versioning/detail/ref_journal.cc",
        "    if (!row) break;\n  }\n  TRY(remove_before(ctx, folder, end.first, end.last));",
        "    if (!row) break;\n  }\n  TRY(remove_before(ctx, folder, end.first, end.last + 1));"),
    "removed-before-recorded": (
        "folded packs are removed when the folded one could not be recorded",
        "src/versioning/folding.cc",
        "    TRY(kv_.apply(ctx, batch));\n  }\n  KILL_POINT(\"versioning.fold.relocated\");",
        "    (void)kv_.apply(ctx, batch);\n  }\n  KILL_POINT(\"versioning.fold.relocated\");"),
    "filter-misses-a-directory": (
        "the filter of a commit leaves a directory out when the key before it lies in one of the same beginning",
        "src/tree/change_filter.cc",
        "if (!last.starts_with(directory)) names.",
        "if (last.substr(0, 1) != directory.substr(0, 1)) names."),
    "reset-lets-a-commit-go-on": (
        "a reset does not invalidate a commit that has the rows in its view",
        "src/versioning/staging.cc",
        "    batch.put(keys::branch(repository.id, branch), encode_branch(record));\n",
        "    if (is_prefix && path_or_prefix.empty()) batch.put(keys::branch(repository.id, branch), encode_branch(record));\n"),
    "condition-outside-the-batch": (
        "If-None-Match is decided before the batch and not proven in it",
        "src/versioning/staging.cc",
        "      batch.require_absent(key);\n",
        "      batch.require_present(keys::alive(repository.id));\n"),
    "unknown-is-failure": (
        "an unknown outcome is answered as a failure",
        "src/versioning/staging.cc",
        "return applied.error();\n  }\n  return ",
        "return Error(Code::kUnavailable, \"store\", \"the write failed\");\n  }\n  return "),
    "stale-head": (
        "a read takes the head that was resolved earlier, with the rows of now",
        "src/versioning/reading.cc",
        "    if (branch.head != at.commit.id) {\n      TRY_LET(head, load_commit(ctx, repository, branch.head));\n    }\n  }\n  return tree::get",
        "  }\n  return tree::get"),
    "half-a-batch": (
        "many edits are written one by one",
        "src/versioning/staging.cc",
        "return write_rows(ctx, repository, branch, edits);\n}",
        "for (const tree::Edit& edit : edits) TRY(write_rows(ctx, repository, branch, {&edit, 1}));\n  return {};\n}"),
}


def tree_of(folder):
    """A copy of what is under version control or new, without touching files that are the same."""
    tree = folder / "tree"
    wanted = {path for path in repository_files(ROOT) if path.parts[0] in ("src", "cmake", "bench", "CMakeLists.txt") or path.parts[:2] == ("tests", "simulation")}
    for path in wanted:
        target = tree / path
        if not target.exists() or target.read_bytes() != (ROOT / path).read_bytes():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / path, target)
    for old in [p for p in tree.rglob("*") if p.is_file() and p.relative_to(tree).parts[0] != "build" and p.relative_to(tree) not in wanted]:
        old.unlink()
    return tree


def run(command, log, seconds, **more):
    """(exit code or None when the time was over, seconds)."""
    start = time.monotonic()
    with log.open("w") as out:
        try:
            code = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=seconds, **more).returncode
        except subprocess.TimeoutExpired:
            code = None
    return code, time.monotonic() - start


class Field:
    def __init__(self, folder, jobs):
        self.folder, self.jobs = folder, jobs
        self.tree = tree_of(folder)
        self.build = self.tree / "build"  # as in the repository, so that the compiler cache knows the files
        self.logs = folder / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        if not (self.build / "build.ninja").exists():
            code, _ = run(["cmake", "-S", self.tree, "-B", self.build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=RelWithDebInfo"], self.logs / "configure.log", 300)
            assert code == 0, f"cmake failed: {self.logs / 'configure.log'}"

    def compile(self, programs, name):
        targets = sorted({pathlib.Path(p).name for p in programs})
        return run(["ninja", "-C", self.build, "-j", str(self.jobs), *targets], self.logs / f"{name}.build.log", 3600)

    def harness(self, which, name):
        program, arguments, seconds = HARNESSES[which]
        environment = dict(os.environ, TARN_MODEL_SECONDS="20")
        extra = ["--gtest_brief=1", "--gtest_fail_fast"] if program.endswith("_test") else []
        return run([self.build / program, *arguments, *extra], self.logs / f"{name}.{which}.log", seconds, cwd=self.folder, env=environment)

    def plant(self, name, first=False, only=()):
        bug, file, old, new = PLANTED[name]
        target = self.tree / file
        text = target.read_text()
        if text.count(old) != 1:
            return {"name": name, "class": bug, "error": f"its text is not in {file} exactly once"}
        result = {"name": name, "class": bug, "file": file, "found": {}}
        which = [h for h in BY_ROOM[pathlib.PurePath(file).parts[1]] if not only or h in only]
        target.write_text(text.replace(old, new))
        try:
            code, result["build_seconds"] = self.compile([HARNESSES[h][0] for h in which], name)
            if code != 0:
                result["error"] = f"it does not compile: {self.logs / (name + '.build.log')}"
                return result
            for harness in which:
                code, seconds = self.harness(harness, name)
                # Out of time is found only where a run ends by itself: then something waits for ever.
                result["found"][harness] = {"found": code != 0, "seconds": round(seconds, 1), "code": code}
                if first and code != 0:
                    break
        finally:
            target.write_text(text)
        return result


def table(results):
    lines = [f"{'bug':<28} " + " ".join(f"{h:>12}" for h in HARNESSES)]
    for result in results:
        cells = []
        for harness in HARNESSES:
            one = result.get("found", {}).get(harness)
            cells.append("" if one is None else f"{one['seconds']:.0f} s" if one["found"] else "-")
        lines.append(f"{result['name']:<28} " + " ".join(f"{c:>12}" for c in cells) + (f"  {result['error']}" if "error" in result else ""))
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(prog="./run planted", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--list", action="store_true", help="only the table of bugs")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--first", action="store_true", help="go on with the next bug once one harness has found it")
    parser.add_argument("--harness", action="append", default=[], choices=list(HARNESSES), help="only this one (may be given again)")
    parser.add_argument("--no-clean-run", action="store_true", help="skip the proof that without a bug every harness passes")
    arguments = parser.parse_args()
    if arguments.list:
        for name, (bug, file, *_) in PLANTED.items():
            print(f"{name:<28} {file}: {bug}")
        return 0
    for name in arguments.names:
        if name not in PLANTED:
            print(f"no planted bug is called {name}; --list names them", file=sys.stderr)
            return 2
    field = Field(ROOT / "build-planted", arguments.jobs)
    if not arguments.no_clean_run:
        code, seconds = field.compile([h[0] for h in HARNESSES.values()], "clean")
        print(f"built without a bug in {seconds:.0f} s" if code == 0 else f"the sources do not build: {field.logs / 'clean.build.log'}", flush=True)
        if code != 0:
            return 1
        for harness in HARNESSES:
            code, seconds = field.harness(harness, "clean")
            print(f"  {harness:<12} {'passes' if code == 0 else 'FAILS WITHOUT A BUG'} in {seconds:.0f} s", flush=True)
            if code != 0:
                return 1
    results = []
    for name in arguments.names or PLANTED:
        result = field.plant(name, arguments.first, arguments.harness)
        results.append(result)
        hits = [f"{h} ({r['seconds']:.0f} s)" for h, r in result.get("found", {}).items() if r["found"]]
        print(f"  {name:<28} {result.get('error') or ('found by ' + ', '.join(hits) if hits else 'SURVIVED')}", flush=True)
    print(table(results))
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")
    found = [r for r in results if any(h["found"] for h in r.get("found", {}).values())]
    print(f"{len(found)} of {len(results)} planted bugs found")
    return 0 if len(found) == len(results) else 1


if __name__ == "__main__":
    sys.exit(main())
