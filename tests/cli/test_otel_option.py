"""`--otel WHERE`: to a file or a collector, looked at before anything is called."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.cli import collectors

Cli = Callable[..., Any]


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS"):
        monkeypatch.delenv(name, raising=False)


def test_a_run_leaves_its_spans_in_a_file(cli: Cli, app: Any, tmp_path: Path) -> None:
    assert cli("run", "hello.yaml", "--otel", "spans.jsonl").code == 0
    (line,) = (tmp_path / "spans.jsonl").read_text().splitlines()
    spans = json.loads(line)["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert [span["name"] for span in spans] == ["chat smollm2-135m", "step greet", "invoke_workflow hello"]
    assert app.options.writes == {"--otel": Path("spans.jsonl")}


def test_a_key_in_a_name_is_not_told(cli: Cli, app: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_API_KEY", "smollm2-135m")
    assert cli("run", "hello.yaml", "--otel", "spans.jsonl").code == 0
    assert "smollm2-135m" not in (tmp_path / "spans.jsonl").read_text()


def test_trouble_with_a_collector_is_told_once_and_ends_no_run(cli: Cli, app: Any) -> None:
    said = cli("run", "hello.yaml", "--otel", "http://127.0.0.1:1")
    assert said.code == 0
    assert said.err.count("--otel: spans could not be sent: Connection refused\n") == 1


@pytest.mark.parametrize(
    ("where", "url"),
    [
        ("http://localhost:4318", "http://localhost:4318/v1/traces"),
        ("http://localhost:4318/", "http://localhost:4318/v1/traces"),
        ("https://c.example/own/path", "https://c.example/own/path"),
    ],
)
def test_an_address_without_a_path_is_that_of_a_collector(
    cli: Cli, app: Any, monkeypatch: pytest.MonkeyPatch, where: str, url: str
) -> None:
    assert sent_to(cli, monkeypatch, where) == [url]


def sent_to(cli: Cli, monkeypatch: pytest.MonkeyPatch, where: str) -> list[str]:
    asked: list[str] = []

    def to_collector(url: str, _environ: object) -> Callable[[bytes], None]:
        asked.append(url)
        return lambda _: None

    monkeypatch.setattr("runner.record.otlp.to_collector", to_collector)
    assert cli("run", "hello.yaml", "--otel", where).code == 0
    return asked


def test_the_environment_may_say_where(cli: Cli, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:9/base/")
    assert sent_to(cli, monkeypatch, "env") == ["http://localhost:9/base/v1/traces"]
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://localhost:9/own")
    assert sent_to(cli, monkeypatch, "env") == ["http://localhost:9/own"]


def test_nothing_is_sent_unless_it_is_asked_for(cli: Cli, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    said = cli("run", "hello.yaml")
    assert (said.code, "otel" in said.err) == (0, False)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["--otel", "env"],
            (
                "usage: --otel env: neither OTEL_EXPORTER_OTLP_TRACES_ENDPOINT nor OTEL_EXPORTER_OTLP_ENDPOINT is set\n"
                "  fix:      --otel http://localhost:4318\n"
            ),
        ),
        (
            ["--otel", "grpc://localhost:4317"],
            (
                "usage: --otel: 'grpc://localhost:4317' is no address of a collector\n"
                "  expected: a file, http://HOST:4318, or env for what OTEL_EXPORTER_OTLP_ENDPOINT says\n"
            ),
        ),
        (
            ["--otel", "http://localhost:4318", "--offline"],
            "usage: --offline and --otel exclude each other\n  fix:      --otel FILE\n",
        ),
        (["--otel", "no/spans.jsonl"], "unwritable-file: --otel: there is no folder 'no'\n"),
        (
            ["--otel", "a.txt", "-o", "a.txt"],
            "usage: -o and --otel name the same file\n  fix:      give them two names\n",
        ),
    ],
)
def test_what_cannot_be_is_told_before_the_run(cli: Cli, app: Any, words: list[str], told: str) -> None:
    said = cli("run", "hello.yaml", *words)
    assert (said.code, said.err) == (2, told)


def test_headers_are_not_sent_in_the_clear(cli: Cli, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=secret")
    said = cli("run", "hello.yaml", "--otel", "http://collector.example:4318")
    assert (said.code, said.err) == (
        2,
        (
            "usage: --otel: the headers of OTEL_EXPORTER_OTLP_HEADERS may hold a key, and http://collector.example:4318 "
            "is not encrypted\n  fix:      https://…\n"
        ),
    )


def test_without_the_library_the_way_to_it_is_told(cli: Cli, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collectors, "find_spec", lambda _: None)
    said = cli("run", "hello.yaml", "--otel", "spans.jsonl")
    assert (said.code, said.err) == (
        2,
        (
            "missing-library: --otel needs the library opentelemetry-sdk, which is not installed\n"
            "  fix:      pip install 'runner[otel]'\n"
        ),
    )
