"""Branch coverage by layer: full in layers 0 to 2, a floor that only rises elsewhere."""

import json
import sys
from pathlib import Path

FULL = ("core", "config", "catalog", "templates", "output", "dialects", "transport", "store", "record", "rows", "link")
FLOOR_ELSEWHERE = 85.0


def share(files: list[dict[str, dict[str, int]]]) -> float:
    """Covered lines and branches of all, in percent."""
    covered = sum(file["summary"]["covered_lines"] + file["summary"]["covered_branches"] for file in files)
    total = sum(file["summary"]["num_statements"] + file["summary"]["num_branches"] for file in files)
    return 100.0 * covered / total if total else 100.0


def main(path: str) -> int:
    report = json.loads(Path(path).read_text(encoding="utf-8"))["files"]
    groups: dict[str, list[dict[str, dict[str, int]]]] = {}
    for name, file in report.items():
        groups.setdefault(Path(name).parts[1], []).append(file)
    failed = 0
    for package in FULL:
        found = share(groups.get(package, []))
        if found < 100.0:
            failed += 1
            print(f"coverage of runner/{package}: {found:.2f} % of lines and branches, 100 wanted")
    rest = [file for package, files in groups.items() if package not in FULL for file in files]
    if share(rest) < FLOOR_ELSEWHERE:
        failed += 1
        print(f"coverage elsewhere: {share(rest):.2f} %, at least {FLOOR_ELSEWHERE} wanted")
    if not failed:
        print(f"coverage: full in layers 0 to 2, {share(rest):.1f} % elsewhere")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
