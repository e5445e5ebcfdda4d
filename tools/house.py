"""What the checks of the house share: the files of the repository, and C++ text without comments and literals."""
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent


def repository_files(root=ROOT):
    """Every file that git tracks or would track, as paths relative to `root`; without git, every file that is not built or fetched."""
    try:
        listed = subprocess.run(["git", "-C", str(root), "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True, check=True).stdout.splitlines()
        if listed:
            return sorted(pathlib.Path(name) for name in set(listed) if (root / name).is_file())
    except (OSError, subprocess.CalledProcessError):
        pass
    skip = re.compile(r"^(\.git|\.deps|build[^/]*|demo-report|tarn-data)(/|$)|__pycache__")
    return sorted(path.relative_to(root) for path in root.rglob("*") if path.is_file() and not skip.search(str(path.relative_to(root))))


_TOKENS = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(?P<mark>[^()\\ ]{0,16})\(.*?\)(?P=mark)"|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


def bare_code(text):
    """C++ text with comments and literals blanked; offsets and line numbers stay. Include lines keep their quotes."""

    def blank(match):
        line_start = text.rfind("\n", 0, match.start()) + 1
        if match.group(0).startswith('"') and text[line_start:match.start()].lstrip().startswith("#include"):
            return match.group(0)
        return re.sub(r"[^\n]", " ", match.group(0))

    return _TOKENS.sub(blank, text)
