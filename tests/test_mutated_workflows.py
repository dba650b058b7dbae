"""Whatever happens to a workflow file on its way, `check` speaks of it: no defect, no exception."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from runner.cli.main import main

ROOT = Path(__file__).parent.parent
PIECES = (
    *("{{", "}}", "{%", "%}", "[", "]", "{", "}", ":", "- ", "\t", "\n", "'", '"', "|", ">", "&a", "*a", "<<: ", "!x "),
    *("#", "null", "~", "1e999", "0x", "-", "@", "`", "%", "?", "\x00", "\u2028", "\r", "é", "steps", "output", "inputs.x"),
    *("data.y", ".text", "for_each: ", "when: ", "fields: ", "schema: ", "ensure: [x]", "include: [a.yaml]", "needs: [a]"),
    *("| default(1)", "99999999999999999999", ".", "..", "/", "$ref", "loop: ", "samples: 2\n", "\\", "\ufeff"),
)  # fmt: skip


def _mutated(text: str, rng: random.Random) -> str:
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        start = rng.randrange(len(text) + 1)
        end = min(len(text), start + rng.randrange(1, 20))
        lines, words = text.split("\n"), text.split(" ")
        one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
        match rng.randrange(6):
            case 0:
                text = text[:start] + rng.choice(PIECES) + text[start:]
            case 1:
                text = text[:start] + rng.choice(("", *PIECES)) + text[end:]
            case 2:
                text = "\n".join([*lines[:one], lines[other], *lines[one:]])
            case 3:
                text = "\n".join([*lines[:one], *lines[one + 1 :]]) or "x"
            case 4:
                lines[one] = " " * rng.randrange(8) + lines[one].strip()
                text = "\n".join(lines)
            case 5:
                left, right = rng.randrange(len(words)), rng.randrange(len(words))
                words[left], words[right] = words[right], words[left]
                text = " ".join(words)
    return text


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "workflows").glob("*.yaml")))
def test_a_damaged_workflow_is_checked_without_a_defect(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("workflows", "schemas", "prompts", "data"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    (tmp_path / "runner.yaml").write_text("format: 1\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    whole = (ROOT / "workflows" / name).read_text("utf-8")
    rng = random.Random(20261122)
    for _ in range(250):
        text = _mutated(whole, rng)
        Path("workflows/mutated.yaml").write_text(text, "utf-8", newline="")
        code = main(["check", "workflows/mutated.yaml"])
        said = capsys.readouterr()
        assert code in (0, 1), f"{said.err}\n{text}"
        assert (code == 1) == (" error" in said.err), text
