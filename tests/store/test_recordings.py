from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.answer import StoredAnswer
from runner.core.canonical import digest
from runner.core.errors import StorageError
from runner.core.outcome import FailureKind, Source
from runner.core.request import Request
from runner.store import recordings as recordings_module
from runner.store.entry import DamagedEntry
from runner.store.recording_text import format_recording, parse_recording
from runner.store.recordings import PlaceLine, Recordings


def scrub(dialect: str, payload: bytes) -> bytes:
    assert dialect == "scripted"
    return payload.replace(b"at 12:00", b"")


@pytest.fixture
def recordings(tmp_path: Path) -> Recordings:
    return Recordings(tmp_path / "recordings", scrub)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_recording_is_a_file_that_a_person_can_read(recordings: Recordings, tmp_path: Path, make_answer: Any) -> None:
    answer = make_answer(
        body='{"question":"Où?","top":0.5,"ask":[]}'.encode(), payload='{"text":"À Paris\\n"}'.encode()
    )
    assert recordings.write([[answer]]) == 1
    assert list(files(tmp_path / "recordings")) == [f"{answer.key[:2]}/{answer.key[2:]}.json"]
    assert (tmp_path / "recordings" / answer.key[:2] / f"{answer.key[2:]}.json").read_text(encoding="utf-8") == (
        """{
  "answer": {
    "json": {
      "text": "À Paris\\n"
    }
  },
  "failure": null,
  "format": 1,
  "request": {
    "body": {
      "json": {
        "question": "Où?",
        "top": 0.5,
        "ask": []
      }
    },
    "dialect": "scripted",
    "endpoint": "/answers/parrot",
    "headers": [],
    "key_version": 1,
    "provider": "scripted",
    "salt": "",
    "sample": 0
  }
}
"""
    )


def test_a_recorded_answer_comes_back_without_clocks(recordings: Recordings, make_answer: Any) -> None:
    answer = make_answer(
        payload=b"Paris at 12:00", failure=FailureKind.REFUSED, ingredients={"thinking": "low"}, sample=1, salt="s",
        key_version=3,
    )  # fmt: skip
    recordings.write([[answer]])
    assert recordings.get_many([answer.key, "0" * 64, "../../etc/passwd"]) == {
        answer.key: replace(
            answer, payload=b"Paris ", ingredients={}, received_at=0.0, seconds=0.0, source=Source.RECORDED
        )
    }


def test_headers_of_the_request_come_back_as_an_ingredient(recordings: Recordings, make_answer: Any) -> None:
    answer = make_answer(ingredients={"headers": [["version", "2"]], "thinking": "low"})
    recordings.write([[answer]])
    assert recordings.get_many([answer.key])[answer.key].ingredients == {"headers": [["version", "2"]]}


def test_recording_the_same_answer_again_leaves_the_file_untouched(
    recordings: Recordings, tmp_path: Path, make_answer: Any
) -> None:
    place = PlaceLine("triage", "ask", "a", 0, 0, make_answer().key, {"n": 1})
    recordings.write([[make_answer()]], [place], ["a text"])
    before = {path: path.stat().st_ino for path in (tmp_path / "recordings").rglob("*")}
    later = replace(make_answer(payload=b'{"text":"Paris"}at 12:00'), received_at=2e9, seconds=9.0)
    assert recordings.write([[later]], [place], ["a text"]) == 0
    assert {path: path.stat().st_ino for path in (tmp_path / "recordings").rglob("*")} == before


def test_a_refreshed_answer_replaces_its_recording(recordings: Recordings, make_answer: Any) -> None:
    recordings.write([[make_answer()], [make_answer("other")]])
    assert recordings.write([[make_answer(payload=b'{"text":"Lyon"}'), make_answer("other")]]) == 1
    assert recordings.get_many([make_answer().key])[make_answer().key].payload == b'{"text":"Lyon"}'


@given(body=st.binary(max_size=60), payload=st.binary(max_size=60))
def test_any_bytes_of_body_and_payload_come_back(body: bytes, payload: bytes) -> None:
    request = Request("d", 1, "p", "/e", body)
    answer = StoredAnswer(request.key, "d", "p", "/e", body, payload)
    found = parse_recording(answer.key, format_recording(answer, payload))
    assert (found.body, found.payload) == (body, payload)


@pytest.mark.parametrize(
    "data",
    [b'{"a":1.0,"b":[1e5,null]}', b'{ "a": 1 }', b'{"a":1,"a":2}', b"[1e999]", b'"\\u00e9"', b"\xff", b"", b"NaN", b"1" * 40,
     "\u2028\x00".encode(), b'{"a":1}\n', b"[" * 2000],
)  # fmt: skip
def test_bytes_that_json_would_change_are_kept_another_way(data: bytes) -> None:
    request = Request("d", 1, "p", "/e", data)
    answer = StoredAnswer(request.key, "d", "p", "/e", data, data)
    found = parse_recording(answer.key, format_recording(answer, data))
    assert (found.body, found.payload) == (data, data)


def hostile(answer: StoredAnswer) -> list[tuple[bytes, str]]:
    """What a pull request might hold under the answer's name, and why it is not used."""
    good = json.loads(format_recording(answer, answer.payload))
    other_format = "it is not a recording of this format"

    def changed(part: str, **values: Any) -> bytes:
        return json.dumps({**good, part: {**good[part], **values}}).encode()

    return [
        (b"", "it is not JSON"),
        (b"\x80\x04.", "it is not JSON"),
        (b"[" * 100_000, "it is not JSON"),
        (b"[]", other_format),
        (json.dumps({**good, "format": 2}).encode(), other_format),
        (json.dumps({**good, "answer": "Paris"}).encode(), other_format),
        (changed("request", sample="0"), other_format),
        (changed("request", headers=[1]), "its request has no key"),
        (changed("request", endpoint="/answers/owl"), "it belongs to another request"),
        (changed("request", body={"json": {"question": "another"}}), "it belongs to another request"),
        (changed("request", body={"json": {}, "base64": "!"}), "it belongs to another request"),
        (changed("request", body={"base64": "!"}), "its request or its answer cannot be read"),
        (changed("request", body={"base64": "é"}), "its request or its answer cannot be read"),
        (changed("request", body={"file": "/etc/passwd"}), "its request or its answer cannot be read"),
        (json.dumps({**good, "failure": "auth"}).encode(), "it names a failure that is never stored"),
    ]


def test_a_hostile_recording_is_a_miss_with_a_warning(recordings: Recordings, tmp_path: Path, make_answer: Any) -> None:
    answer = make_answer()
    path = tmp_path / "recordings" / answer.key[:2] / f"{answer.key[2:]}.json"
    recordings.write([[answer]])
    for data, reason in hostile(answer):
        path.write_bytes(data)
        warnings: list[str] = []
        assert recordings.get_many([answer.key], warn=warnings.append) == {}
        assert warnings == [f"the recording {path} will not be used: {reason}"]
        assert recordings.get_many([answer.key]) == {}


@given(st.binary(max_size=200))
def test_any_bytes_are_a_recording_or_damaged(data: bytes) -> None:
    with pytest.raises(DamagedEntry):
        parse_recording("0" * 64, data)


def test_a_recording_that_cannot_be_read_is_a_miss_with_a_warning(
    recordings: Recordings, tmp_path: Path, make_answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = make_answer("one"), make_answer("other")
    recordings.write([[one, other]])
    path = tmp_path / "recordings" / one.key[:2] / f"{one.key[2:]}.json"
    path.unlink()
    path.mkdir()
    monkeypatch.setattr(recordings_module, "MAX_RECORDING_BYTES", 20)
    warnings: list[str] = []
    assert recordings.get_many([one.key, other.key], warn=warnings.append) == {}
    assert [warning.partition(" will not be used: ")[2] for warning in warnings] == [
        "it is not JSON",
        "it is too large",
    ]


def test_a_folder_that_is_not_there_has_no_recordings(recordings: Recordings) -> None:
    assert recordings.get_many(["0" * 64]) == {}
    assert list(recordings.scan()) == []
    assert recordings.read_text("0" * 64) is None


def test_a_folder_that_may_not_be_listed_is_still_looked_into(
    recordings: Recordings, make_answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = make_answer()
    recordings.write([[answer]])

    def refuse(_: str) -> list[str]:
        raise PermissionError

    monkeypatch.setattr("os.listdir", refuse)
    assert list(recordings.get_many([answer.key])) == [answer.key]


def test_a_scan_shows_answers_and_damage_in_the_order_of_the_keys(
    recordings: Recordings, tmp_path: Path, make_answer: Any
) -> None:
    answers = [make_answer(str(number)) for number in range(5)]
    recordings.write([answers], [PlaceLine("triage", "ask", "a", 0, 0, answers[0].key)], ["a text"])
    (tmp_path / "recordings" / "ff").mkdir(exist_ok=True)
    (tmp_path / "recordings" / "ff" / "zz.json").write_text("{}")
    (tmp_path / "recordings" / "ff" / "notes.txt").write_text("{}")
    found = list(recordings.scan())
    assert [key for key, _, _ in found] == [*sorted(answer.key for answer in answers), "ffzz"]
    assert found[-1][1] == 2
    assert isinstance(found[-1][2], DamagedEntry)
    assert all(isinstance(answer, StoredAnswer) and size > 100 for _, size, answer in found[:-1])


def test_places_are_sorted_lines_and_new_ones_replace_old_ones(recordings: Recordings, tmp_path: Path) -> None:
    def line(item: str, key: str, sample: int = 0, workflow: str = "triage") -> PlaceLine:
        return PlaceLine(workflow, "ask", item, sample, 0, key, {"thinking": "low"})

    recordings.write([], [line("b", "k1"), line("a", "k2"), line("a", "k3", 1), line("x", "k4", workflow="other")])
    recordings.write([], [line("b", "new")])
    assert (tmp_path / "recordings" / "places" / "triage.jsonl").read_text() == (
        '{"ingredients":{"thinking":"low"},"key":"k2","place":{"item":"a","repair":0,"sample":0,"step":"ask"}}\n'
        '{"ingredients":{"thinking":"low"},"key":"k3","place":{"item":"a","repair":0,"sample":1,"step":"ask"}}\n'
        '{"ingredients":{"thinking":"low"},"key":"new","place":{"item":"b","repair":0,"sample":0,"step":"ask"}}\n'
    )
    assert recordings.places_file("other").read_bytes().count(b"\n") == 1


def test_place_lines_that_cannot_be_read_are_dropped_when_others_are_written(recordings: Recordings) -> None:
    path = recordings.places_file("triage")
    path.parent.mkdir(parents=True)
    path.write_bytes(b'<<<<<<< ours\r\n{"key":"k","place":{}}\n\xff\n'
                     b'{"key":"kept","place":{"step":"ask","item":"a","sample":0,"repair":0}}\r\n')  # fmt: skip
    recordings.write([], [PlaceLine("triage", "ask", "b", 0, 0, "k")])
    assert [json.loads(line)["key"] for line in path.read_bytes().splitlines()] == ["kept", "k"]


@pytest.mark.parametrize(("name", "file"), [("ticket-digest", "ticket-digest.jsonl"), ("v1.2_b", "v1.2_b.jsonl")])
def test_the_places_of_a_workflow_are_in_a_file_of_its_name(recordings: Recordings, name: str, file: str) -> None:
    assert recordings.places_file(name).name == file


@pytest.mark.parametrize("name", ["../../etc/cron", "a/b", "", ".hidden", "x" * 200, "naïve", "a\n"])
def test_a_workflow_whose_name_is_no_file_name_gets_one_by_digest(recordings: Recordings, name: str) -> None:
    assert recordings.places_file(name).name == f"workflow-{digest(name)[:16]}.jsonl"


def test_texts_are_found_by_their_digest_as_long_as_they_are_unchanged(recordings: Recordings, tmp_path: Path) -> None:
    recordings.write([], texts=["a prompt", "another"])
    assert recordings.read_text(digest("a prompt")) == "a prompt"
    (tmp_path / "recordings" / "texts" / f"{digest('another')}.txt").write_text("changed")
    assert recordings.read_text(digest("another")) is None
    assert recordings.read_text("../places/x") is None


def test_a_recording_that_cannot_be_written_is_said_in_words_and_leaves_nothing_aside(
    recordings: Recordings, tmp_path: Path, make_answer: Any
) -> None:
    answer = make_answer()
    path = tmp_path / "recordings" / answer.key[:2] / f"{answer.key[2:]}.json"
    (path / "in the way").mkdir(parents=True)
    with pytest.raises(StorageError) as caught:
        recordings.write([[answer]])
    assert caught.value.problems[0].message == (f"the cache in {tmp_path}/recordings cannot be used: Is a directory")
    assert list(path.parent.iterdir()) == [path]


def test_nothing_is_written_through_a_linked_folder(recordings: Recordings, tmp_path: Path, make_answer: Any) -> None:
    answer = make_answer()
    (tmp_path / "outside").mkdir()
    (tmp_path / "recordings").mkdir()
    (tmp_path / "recordings" / answer.key[:2]).symlink_to(tmp_path / "outside")
    with pytest.raises(StorageError, match="is a link to another folder"):
        recordings.write([[answer]])
    assert list((tmp_path / "outside").iterdir()) == []


def test_an_answer_without_a_real_key_is_not_recorded(recordings: Recordings, make_answer: Any) -> None:
    with pytest.raises(ValueError, match=r"\.\./x is not a key"):
        recordings.write([[replace(make_answer(), key="../x")]])


RECORD_TOGETHER = """
import sys, pathlib
from runner.core.answer import StoredAnswer
from runner.core.request import Request
from runner.store.recordings import PlaceLine, Recordings
recordings = Recordings(pathlib.Path(sys.argv[1]), lambda dialect, payload: payload)
for number in range(15):
    request = Request("d", 1, "p", "/e", b"%d" % number)
    answer = StoredAnswer(request.key, "d", "p", "/e", request.body, b"the same")
    recordings.write([[answer]], [PlaceLine("triage", sys.argv[2], str(number), 0, 0, request.key)])
"""


def test_two_processes_that_record_together_lose_nothing(recordings: Recordings, tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    writers = [subprocess.Popen([sys.executable, "-c", RECORD_TOGETHER, str(folder), name]) for name in ("a", "b")]
    assert [writer.wait() for writer in writers] == [0, 0]
    assert recordings.places_file("triage").read_bytes().count(b"\n") == 30
    assert len(list(recordings.scan())) == 15
    assert not list(folder.rglob("*.tmp"))


def test_answers_and_texts_that_no_place_names_are_removed(
    recordings: Recordings, tmp_path: Path, make_answer: Any
) -> None:
    kept, dropped = make_answer(body=b'{"a":1}'), make_answer(body=b'{"a":2}')
    line = PlaceLine("flow", "greet", "", 0, 0, kept.key, {"template": {"flow.yaml:1": digest("Hello")}})
    recordings.write([[kept], [dropped]], [line], ["Hello", "Bye"])
    (tmp_path / "recordings/texts/notes.md").write_text("mine", encoding="utf-8")
    assert recordings.remove_unnamed() == 1
    assert sorted(files(tmp_path / "recordings")) == sorted(
        [
            f"{kept.key[:2]}/{kept.key[2:]}.json",
            "places/flow.jsonl",
            "texts/notes.md",
            f"texts/{digest('Hello')}.txt",
        ]
    )
    assert recordings.remove_unnamed() == 0


def test_nothing_is_removed_where_a_place_cannot_be_read(
    recordings: Recordings, tmp_path: Path, make_answer: Any
) -> None:
    recordings.write([[make_answer()]], [PlaceLine("flow", "greet", "", 0, 0, "b" * 64)])
    with (tmp_path / "recordings/places/flow.jsonl").open("a", encoding="utf-8") as file:
        file.write("no place\n")
    assert recordings.remove_unnamed() == 0


def test_a_workflow_whose_places_are_replaced_keeps_no_others(recordings: Recordings) -> None:
    line = PlaceLine("flow", "greet", "", 0, 0, "a" * 64)
    other = replace(line, workflow="other")
    recordings.write([], [line, other])
    recordings.write([], [replace(line, item="x"), replace(other, item="x")], replaces="flow")
    lengths = [len(recordings.places_file(name).read_bytes().splitlines()) for name in ("flow", "other")]
    assert lengths == [1, 2]
