"""Goal: each rule of check_layers fires on the smallest wrong tree, and a right tree passes."""
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import check_layers  # noqa: E402

LAYERS = "base:\nkv: base\nrest: base kv\n"


class Layers(unittest.TestCase):
    def faults(self, files, layers=LAYERS):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for name, text in {"src/layers.txt": layers, **files}.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text)
            return check_layers.check(root)

    def assert_one(self, files, *words, layers=LAYERS):
        faults = self.faults(files, layers)
        self.assertEqual(len(faults), 1, faults)
        for word in ("Cure", *words):
            self.assertIn(word, faults[0])

    def test_a_right_tree_passes(self):
        self.assertEqual(self.faults({"src/rest/a.cc": '#include "kv/store.h"\n#include "base/x.h"\nint f();\n', "src/kv/store.h": "int g();\n", "src/base/x.h": ""}), [])

    def test_upward_include_fails(self):
        self.assert_one({"src/kv/a.cc": '#include "rest/x.h"\n'}, "src/kv/a.cc:1", "may not know rest")

    def test_layer_cycle_fails(self):
        self.assert_one({}, "names kv", layers="base: kv\nkv: base\n")

    def test_header_cycle_fails(self):
        self.assert_one({"src/kv/a.h": '#include "kv/b.h"\n', "src/kv/b.h": '#include "kv/a.h"\n'}, "include cycle")

    def test_detail_from_outside_fails(self):
        self.assert_one({"src/rest/a.cc": '#include "kv/detail/x.h"\n'}, "private to kv")

    def test_detail_from_inside_passes(self):
        self.assertEqual(self.faults({"src/kv/a.cc": '#include "kv/detail/x.h"\n'}), [])

    def test_include_without_room_fails(self):
        self.assert_one({"src/kv/a.cc": '#include "store.h"\n'}, "room/file.h")

    def test_unknown_room_fails(self):
        self.assert_one({"src/nowhere/a.cc": ""}, "not a room")

    def test_third_party_header_outside_its_room_fails(self):
        self.assert_one({"src/rest/a.cc": "#include <rocksdb/db.h>\n"}, "belongs to kv")

    def test_third_party_header_in_a_private_header_passes(self):
        self.assertEqual(self.faults({"src/kv/detail/a.h": "#include <rocksdb/db.h>\n"}), [])

    def test_third_party_header_in_a_public_header_fails(self):
        self.assert_one({"src/kv/a.h": "#include <rocksdb/db.h>\n"}, "compiled by everybody")

    def test_side_entrances_fail_and_name_the_cure(self):
        for line, cure in (("std::mutex m;", "base::Mutex"), ("std::condition_variable c;", "base::Condition"), ("std::thread t(f);", "base::Thread"),
                           ("std::random_device d;", "base::Random"), ("int f = ::open(p, 0);", "base::Disk"), ("std::ofstream o(p);", "base::Disk"),
                           ("auto t = ::time(nullptr);", "base::Clock"), ("auto t = std::chrono::steady_clock::now();", "base::Clock")):
            with self.subTest(line):
                self.assert_one({"src/kv/a.cc": line + "\n"}, cure)

    def test_ground_rooms_and_tests_may_use_the_real_thing(self):
        self.assertEqual(self.faults({"src/base/a.cc": "std::mutex m;\n", "src/kv/a_test.cc": "std::thread t(f);\n"}), [])

    def test_coroutines_fail_everywhere(self):
        self.assert_one({"src/base/a.cc": "void f() { co_await g(); }\n"}, "miscompiles")

    def test_a_reason_on_the_line_allows(self):
        self.assertEqual(self.faults({"src/kv/a.cc": "std::mutex m;  // house: allow(lock) a foreign interface hands it over\n"}), [])
        self.assert_one({"src/kv/a.cc": "std::mutex m;  // house: allow(lock)\n"}, "base::Mutex")

    def test_comments_and_literals_do_not_count(self):
        self.assertEqual(self.faults({"src/kv/a.cc": '// std::mutex and co_await\nconst char* s = "std::thread co_await";\nauto r = R"(std::mutex)";\nint n = 1\'000;\n'}), [])


if __name__ == "__main__":
    unittest.main()
