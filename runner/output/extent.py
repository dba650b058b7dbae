"""How long an answer can be that a provider holds to its schema. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from runner.core.canonical import Json, ordered

LONGEST_NUMBER = 25  # digits, sign, point and exponent; a longer one is no number that a model writes
LONGEST_CHARACTER = 6  # \u0000
DEEPEST = 32


def most_bytes(schema: Json, enforced: Collection[str]) -> int | None:
    """The longest answer without white space, None where nothing bounds it.

    `enforced` has the JSON pointers of the keywords that the provider enforces; what only we check bounds nothing.
    """
    return _Extent(schema, enforced).of(schema, "", 0)


class _Extent:
    def __init__(self, root: Json, enforced: Collection[str]) -> None:
        self._root = root
        self._enforced = enforced

    def of(self, schema: Json, at: str, depth: int) -> int | None:
        if not isinstance(schema, dict) or depth > DEEPEST:
            return None
        if self._holds(schema, "enum", at):
            return max((len(ordered(value)) for value in schema["enum"]), default=0)
        if self._holds(schema, "const", at):
            return len(ordered(schema["const"]))
        if "$ref" in schema:
            return self._referred(schema["$ref"], depth)
        if self._holds(schema, "anyOf", at):
            return _longest(self.of(one, f"{at}/anyOf/{i}", depth + 1) for i, one in enumerate(schema["anyOf"]))
        if not self._holds(schema, "type", at):
            return None
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        return _longest(self._kind(kind, schema, at, depth) for kind in kinds)

    def _holds(self, schema: Json, keyword: str, at: str) -> bool:
        return keyword in schema and f"{at}/{keyword}" in self._enforced

    def _referred(self, ref: Json, depth: int) -> int | None:
        target = self._root
        for name in str(ref).removeprefix("#").split("/")[1:]:
            name = name.replace("~1", "/").replace("~0", "~")
            if not isinstance(target, dict) or name not in target:
                return None
            target = target[name]
        return self.of(target, str(ref).removeprefix("#"), depth + 1) if str(ref).startswith("#") else None

    def _kind(self, kind: Json, schema: Json, at: str, depth: int) -> int | None:
        match kind:
            case "null":
                return 4
            case "boolean":
                return 5
            case "integer" | "number":
                return LONGEST_NUMBER
            case "string" if self._holds(schema, "maxLength", at):
                return int(schema["maxLength"]) * LONGEST_CHARACTER + 2
            case "array" if self._holds(schema, "maxItems", at) and "items" in schema:
                inner = self.of(schema["items"], f"{at}/items", depth + 1)
                return None if inner is None else int(schema["maxItems"]) * (inner + 1) + 2
            case "object" if schema.get("additionalProperties") is False:
                return self._members(schema, at, depth)
            case _:
                return None

    def _members(self, schema: Json, at: str, depth: int) -> int | None:
        if not self._holds(schema, "additionalProperties", at):
            return None
        total = 2
        for name, inner in schema.get("properties", {}).items():
            escaped = name.replace("~", "~0").replace("/", "~1")
            most = self.of(inner, f"{at}/properties/{escaped}", depth + 1)
            if most is None:
                return None
            total += len(ordered(name)) + most + 2
        return total


def _longest(sizes: Iterable[int | None]) -> int | None:
    found = list(sizes)
    return None if None in found or not found else max(size or 0 for size in found)
