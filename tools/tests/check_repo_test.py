"""Goal: what does not belong in the repository is found, and ordinary words are not."""
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import check_repo  # noqa: E402


class Repository(unittest.TestCase):
    def faults(self, text, name="a.md"):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / name).write_text(text)
            return check_repo.check(root)

    def test_ordinary_words_pass(self):
        self.assertEqual(self.faults("A session, a user agent, src/work/x, /tmp/x, ./run, /var/lib/tarn.\n=======\n"), [])

    def test_foreign_words_are_told(self):
        for text in ("see registry.npm" "js.org", "cd /wo" "rk/main", "in /ro" "ot/x", "a helper ag" "ent did it", "<<<<<<" "< HEAD\n"):
            with self.subTest(text):
                self.assertEqual(len(self.faults(text)), 1)

    def test_a_large_file_is_told(self):
        self.assertEqual(len(self.faults("x" * 1_000_001, "a.bin")), 1)


if __name__ == "__main__":
    unittest.main()
