"""Goal: a broken link, a missing anchor, and a map that differs from the folders are found."""
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import check_docs  # noqa: E402

MAP = "| folder | |\n|---|---|\n| `docs/` | x |\n| `src/` | x |\n| `src/base/` | x |\n"


class Documents(unittest.TestCase):
    def faults(self, files):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for name, text in {"docs/map.md": MAP, "src/base/README.md": "# base\n", **files}.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text)
            return check_docs.check(root)

    def test_right_links_pass(self):
        self.assertEqual(self.faults({"README.md": "# Two words\n[a](docs/map.md) [b](#two-words) [c](https://example.com/x) `[d](nowhere)`\n```\n[e](nowhere)\n```\n"}), [])

    def test_a_broken_link_is_told_with_its_line(self):
        (fault,) = self.faults({"README.md": "\n[a](docs/gone.md)\n"})
        self.assertIn("README.md:2", fault)

    def test_a_missing_anchor_is_told(self):
        (fault,) = self.faults({"README.md": "[a](docs/map.md#gone)\n"})
        self.assertIn("no such heading", fault)

    def test_a_folder_missing_from_the_map_is_told(self):
        (fault,) = self.faults({"extra/x.txt": ""})
        self.assertIn("`extra/` is not in the map", fault)

    def test_a_row_without_folder_is_told(self):
        (fault,) = self.faults({"docs/map.md": MAP + "| `src/gone/` | x |\n"})
        self.assertIn("does not exist", fault)

    def test_a_room_without_readme_is_told(self):
        (fault,) = self.faults({"docs/map.md": MAP + "| `src/kv/` | x |\n", "src/kv/a.cc": ""})
        self.assertIn("src/kv/README.md is missing", fault)


if __name__ == "__main__":
    unittest.main()
