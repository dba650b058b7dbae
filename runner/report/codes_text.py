"""The explanations of codes for people: on a terminal, and as a document. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from runner.core.canonical import Json
from runner.core.codes import ONLY_FILE, Code

_WIDTH = 100


def explanation(code: Code) -> str:
    """One code: what it means, the way out, an example."""
    parts = [code.name, textwrap.fill(code.paragraph, _WIDTH)]
    for name, text in code.example.items():
        parts.append(f"{name}:\n{textwrap.indent(text.rstrip(), '  ')}")
    if code.is_ignorable:
        parts.append(f"A comment silences it where it is meant: # runner: ignore[{code.name}]")
    return "\n\n".join(parts)


def code_document(code: Code) -> dict[str, Json]:
    return {
        "code": code.name,
        "means": code.means,
        "way_out": code.way_out,
        "example": dict(code.example),
        "seen": code.seen,
        "ignorable": code.is_ignorable,
    }


def code_sections(codes: Iterable[Code]) -> str:
    """The part of the document that lists all codes, in Markdown."""
    known = sorted(codes, key=lambda code: code.name)
    by_check = [_section(code) for code in known if code.seen == "check"]
    others = [_section(code) for code in known if code.seen == "run"]
    return "\n".join(["## Codes of `check`\n", *by_check, "## Codes of other commands\n", *others])


def _section(code: Code) -> str:
    ignorable = " A comment can silence it." if code.is_ignorable else ""
    parts = [f"### {code.name}", f"{code.paragraph}{ignorable}"]
    for name, text in code.example.items():
        parts += ["" if name == ONLY_FILE else f"`{name}`:", textwrap.indent(text.rstrip(), "    ")]
    return "\n\n".join(part for part in parts if part) + "\n"
