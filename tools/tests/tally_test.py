"""Goal: the closing line counts cases, a crash is a failure, and nothing run is not a success."""
import contextlib
import io
import pathlib
import stat
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import tally  # noqa: E402


class Tally(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.results = pathlib.Path(self.folder.name) / "results"

    def close(self):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            code = tally.close(self.results)
        return code, out.getvalue().splitlines()[-1]

    def test_groups_are_added_up(self):
        tally.record(self.results, "a", 2, 0)
        tally.record(self.results, "b", 3, 1, 4, ["x"])
        self.assertEqual(self.close(), (1, "5 passed, 1 failed, 4 skipped"))

    def test_nothing_run_is_not_a_success(self):
        self.assertEqual(self.close(), (1, "0 passed, 0 failed"))

    def ctest(self, script):
        """Runs one ctest program that behaves like a GoogleTest one; the script sees $REPORT."""
        build = pathlib.Path(self.folder.name) / "build"
        build.mkdir()
        program = build / "room_test"
        program.write_text('#!/bin/bash\nREPORT="${GTEST_OUTPUT#json:}room_test.json"\n' + script)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        (build / "CTestTestfile.cmake").write_text(f'add_test(room "{program}")\n')
        tally.run_ctest(self.results, str(build), "1", [], output=subprocess.DEVNULL)
        return self.close()

    @unittest.skipUnless(subprocess.run(["which", "ctest"], capture_output=True).returncode == 0, "no ctest here")
    def test_cases_of_a_program_are_counted(self):
        report = '{"testsuites": [{"name": "S", "testsuite": [{"name": "a", "status": "RUN", "result": "COMPLETED"}, {"name": "b", "status": "RUN", "result": "SKIPPED"}]}]}'
        self.assertEqual(self.ctest(f"echo '{report}' > \"$REPORT\"\n"), (0, "1 passed, 0 failed, 1 skipped"))

    @unittest.skipUnless(subprocess.run(["which", "ctest"], capture_output=True).returncode == 0, "no ctest here")
    def test_a_crash_without_report_is_one_failure(self):
        self.assertEqual(self.ctest("kill -SEGV $$\n"), (1, "0 passed, 1 failed"))


if __name__ == "__main__":
    unittest.main()
