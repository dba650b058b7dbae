"""`runner init`: a first workflow that runs without network or key."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path

from runner.cli import exit_codes
from runner.cli.commands.schema import KINDS, path_of, text_of
from runner.cli.console import Console
from runner.core.errors import FileError
from runner.core.problem import Problem

HELLO = """\
# yaml-language-server: $schema=./.runner/workflow.schema.json
format: 1
name: hello

inputs:
  who: {type: string, default: the whole team}

# Another model for one run: --model fast=gemini/gemini-3.1-flash-lite
models:
  fast: local/smollm2-135m

steps:
  greet:
    model: fast
    prompt: |
      Write one friendly sentence that greets {{ inputs.who }}.
    fields:
      greeting: string
"""
IGNORED = (".runner/", "cache/local/")
CI_FILE = ".github/workflows/prompts.yml"
CI_TEXT = """\
# Written by `runner init --ci github`; yours to change.
name: prompts

on:
  push: {branches: [main]}
  pull_request:

permissions:
  contents: read

jobs:
  # No secrets, no network to a model: all that is not recorded in cache/recordings/ is a failure.
  recorded:
    runs-on: ubuntu-latest
    timeout-minutes: 10
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with: {python-version: "3.12"}
      - run: pip install -r requirements.txt  # names the runner, with its version
      - run: runner check
      - name: Nothing needs to be asked
        run: |
          git grep -lz '^steps:' -- '*.yaml' ':!:.github' | while IFS= read -r -d '' flow; do
            runner plan "$flow" --exit-code
          done
      - run: runner test --offline -o results.xml
      - uses: actions/upload-artifact@v4
        if: always()
        with: {name: prompts, path: results.xml, if-no-files-found: ignore}

  # Asks the models, within a budget; only where the secrets are, which is never for a fork.
  live:
    needs: recorded
    if: github.event_name == 'push'
    runs-on: ubuntu-latest
    timeout-minutes: 30
    env:
      GEMINI_API_KEY: ${{ secrets.GEMINI_API_KEY }}
      OPENAI_API_KEY: ${{ secrets.OPENAI_API_KEY }}
      RUNNER_MAX_COST: "1.00"
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with: {python-version: "3.12"}
      - run: pip install -r requirements.txt  # names the runner, with its version
      - run: runner test --refresh -o results.xml
      - uses: actions/upload-artifact@v4
        if: always()
        with: {name: prompts-live, path: results.xml, if-no-files-found: ignore}
"""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("folder_to_fill", metavar="DIR", nargs="?", type=Path, default=Path(),
        help="the folder (default: the current one); what is there is kept")  # fmt: skip
    parser.add_argument("--ci", choices=("github",),
        help=f"write {CI_FILE}: check, plan and test without secrets, and a second job with them and a budget")  # fmt: skip


def execute(args: Namespace, console: Console) -> int:
    folder: Path = args.folder_to_fill
    try:
        created, kept = _fill(folder)
        if args.ci:
            _add_ci(folder, created, kept)
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        place = error.filename or folder
        raise FileError(Problem("unwritable-folder", f"'{place}' cannot be written: {reason}")) from None
    following = "runner run hello.yaml"
    if folder != Path():
        following = f"cd {folder} && {following}"
    if console.look.is_json:
        console.result({"format": 1, "created": created, "kept": kept, "next": following})
        return exit_codes.DONE
    lines = [f"created  {'   '.join(created)}"] if created else []
    lines += [f"kept     {'   '.join(kept)}"] if kept else []
    console.report("\n".join([*lines, f"next     {following}"]))
    return exit_codes.DONE


def _fill(folder: Path) -> tuple[list[str], list[str]]:
    """What was created, and what was there before."""
    folder.mkdir(parents=True, exist_ok=True)
    created: list[str] = []
    kept: list[str] = []

    def note(name: str, *, is_new: bool) -> None:
        (created if is_new else kept).append(name)

    note("hello.yaml", is_new=_write_new(folder / "hello.yaml", lambda: HELLO))
    has_schemas = (folder / "schemas").is_dir()
    (folder / "schemas").mkdir(exist_ok=True)
    note("schemas/", is_new=not has_schemas)
    (folder / ".runner").mkdir(exist_ok=True)
    for kind in KINDS:
        note(path_of(kind), is_new=_write_new(folder / path_of(kind), partial(text_of, kind)))
    note(".gitignore", is_new=_add_lines(folder / ".gitignore"))
    return created, kept


def _add_ci(folder: Path, created: list[str], kept: list[str]) -> None:
    (folder / CI_FILE).parent.mkdir(parents=True, exist_ok=True)
    (created if _write_new(folder / CI_FILE, lambda: CI_TEXT) else kept).append(CI_FILE)


def _write_new(path: Path, text: Callable[[], str]) -> bool:
    """Write the file unless there is one."""
    if path.exists() or path.is_symlink():
        return False
    path.write_text(text(), encoding="utf-8", newline="\n")
    return True


def _add_lines(path: Path) -> bool:
    """Add to the ignore file what it lacks; its own lines stay as they are."""
    before = path.read_bytes() if path.exists() else b""
    there = {line.strip() for line in before.decode("utf-8", "replace").splitlines()}
    missing = [line for line in IGNORED if line not in there and f"/{line}" not in there]
    if not missing:
        return False
    glue = b"\n" if before and not before.endswith(b"\n") else b""
    path.write_bytes(before + glue + "".join(f"{line}\n" for line in missing).encode())
    return True
