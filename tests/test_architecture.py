"""Imports point one way, and each library has one home."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import runner

ROOT = Path(runner.__file__).parent

LAYERS: dict[str, set[str]] = {
    "core": set(),
    "config": {"core"},
    "catalog": {"core"},
    "templates": {"core"},
    "output": {"core"},
    "dialects": {"core"},
    "transport": {"core"},
    "store": {"core"},
    "record": {"core"},
    "rows": {"core"},
    "link": {"core", "templates", "output"},
    "plan": {"core", "templates", "output", "dialects", "link"},
    "checks": {"core", "catalog", "output", "dialects", "link"},
    "execute": {"core", "output", "plan"},
    "engines": {"core", "execute"},
    "report": {"core", "record"},
    "suites": {"core", "templates", "output", "link", "plan"},
}
LAYERS["app"] = set(LAYERS)
LAYERS["pytest_plugin"] = {"core", "suites", "app", "config"}
LAYERS["cli"] = {"core", "report", "record", "app", "config", "suites", "pytest_plugin"}

HOMES = {
    "yaml": {"config"},
    "jinja2": {"templates"},
    "jsonschema": {"output"},
    "jsonschema_rs": {"output"},
    "referencing": {"output"},
    "aiohttp": {"transport"},
    "httpx": {"transport"},
    "google": {"transport"},
    "xllamacpp": {"transport"},
    "uvloop": {"app"},
    "diskcache": {"store"},
    "opentelemetry": {"record"},
    "pyarrow": {"rows"},
    "rich": {"cli"},
    "asyncio": {"transport", "execute", "engines", "app", "cli"},
}


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).parts
        if len(parts) > 1:
            yield parts[0], path


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("package", sorted(LAYERS))
def test_a_package_imports_only_what_its_layer_allows(package: str) -> None:
    for owner, path in modules():
        if owner != package:
            continue
        for name in imports(path):
            if name.startswith("runner.") and len(name.split(".")) > 1:
                target = name.split(".")[1]
                if target in LAYERS:
                    assert target == package or target in LAYERS[package], f"{path.relative_to(ROOT)} imports {name}"


def test_every_package_has_a_layer() -> None:
    assert {owner for owner, _ in modules()} == set(LAYERS)


@pytest.mark.parametrize("library", sorted(HOMES))
def test_a_library_is_imported_only_where_it_lives(library: str) -> None:
    for owner, path in modules():
        for name in imports(path):
            if name.split(".")[0] == library:
                assert owner in HOMES[library], f"{path.relative_to(ROOT)} imports {name}"


def test_only_the_console_prints() -> None:
    for _, path in modules():
        if path.relative_to(ROOT).as_posix() == "cli/console.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            is_print = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
            assert not is_print, f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)} prints"


def test_there_is_one_event_loop() -> None:
    found = [
        f"{path.relative_to(ROOT)}"
        for _, path in modules()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and node.attr in {"run", "Runner", "new_event_loop"}
        and getattr(node.value, "id", "") in {"asyncio", "uvloop"}
    ]
    assert set(found) == {"app/looping.py"}


def test_the_public_names_are_importable() -> None:
    assert sorted(runner.__all__) == runner.__dir__()
    for name in runner.__all__:
        assert getattr(runner, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'runner' has no attribute 'walk'"):
        _ = runner.walk
