"""Goal: ./run says cause and cure where it cannot work, and changes nothing.

Method: a copy of ./run with its lists in an empty folder, so that no stamp of this clone helps.
"""
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


class Run(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.root.chmod(0o755)
        shutil.copy(ROOT / "run", self.root / "run")
        (self.root / "tools" / "deps").mkdir(parents=True)
        (self.root / "tools" / "deps" / "apt.txt").write_text("tarn-no-such-package build for the test\n")

    def run_it(self, *arguments, prefix=(), **environment):
        done = subprocess.run([*prefix, "bash", str(self.root / "run"), *arguments], capture_output=True, text=True, env={**os.environ, "TARN_SKIP_APT": "", **environment})
        return done.returncode, done.stdout + done.stderr

    def test_another_system_is_named_with_the_cure(self):
        release = self.root / "os-release"
        release.write_text('ID=ubuntu\nVERSION_ID="24.04"\nPRETTY_NAME="Ubuntu 24.04 LTS"\n')
        code, text = self.run_it("setup", "build", TARN_OS_RELEASE=str(release))
        self.assertEqual(code, 1)
        for words in ("not Debian 12", "cause: it is Ubuntu 24.04 LTS", "cure:", "debian:12", "TARN_SKIP_APT=1"):
            self.assertIn(words, text)
        self.assertFalse((self.root / ".deps" / "stamps").exists())

    def test_another_debian_is_named_too(self):
        release = self.root / "os-release"
        release.write_text('ID=debian\nVERSION_ID="13"\nPRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n')
        code, text = self.run_it("build", TARN_OS_RELEASE=str(release))
        self.assertEqual(code, 1)
        self.assertIn("Debian GNU/Linux 13", text)

    @unittest.skipUnless(os.geteuid() == 0, "needs root to become another user")
    def test_neither_root_nor_sudo_is_told_with_the_command_to_run(self):
        release = self.root / "os-release"
        release.write_text('ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12"\n')
        tools = self.root / "bin"
        tools.mkdir()
        for name in ("bash", "dirname", "nproc", "cat", "sha256sum", "cut", "awk", "dpkg-query", "tr", "id", "sed", "mkdir", "env"):
            (tools / name).symlink_to(shutil.which(name))
        code, text = self.run_it("setup", "build", prefix=(shutil.which("setpriv"), "--reuid=65534", "--clear-groups"), TARN_OS_RELEASE=str(release), PATH=f"{tools}")
        self.assertEqual(code, 1, text)
        for words in ("not root", "no sudo", "apt-get install -y --no-install-recommends tarn-no-such-package"):
            self.assertIn(words, text)

    def test_an_unknown_command_shows_the_commands(self):
        code, text = self.run_it("dance")
        self.assertEqual(code, 1)
        self.assertIn("unknown command 'dance'", text)
        self.assertIn("./run COMMAND", text)

    def test_help_works_anywhere(self):
        code, text = self.run_it("help", TARN_OS_RELEASE="nowhere")
        self.assertEqual(code, 0)
        self.assertIn("demo", text)


if __name__ == "__main__":
    unittest.main()
