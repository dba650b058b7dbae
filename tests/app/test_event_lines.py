"""The events of a real run, line by line, against the schema that `runner schema events` prints."""

from __future__ import annotations

import copy
import json
from typing import Any

from jsonschema import Draft202012Validator

from runner.record.event_schema import event_schema
from runner.record.lines import to_line, to_record


def test_every_event_of_a_run_with_troubles_fits_the_schema(project: Any) -> None:
    schema = copy.deepcopy(event_schema())
    for definition in schema["$defs"].values():
        definition["additionalProperties"] = False
    validator = Draft202012Validator(schema)
    answer = project.Answer
    project.special = {
        "tag r007 third-word": lambda _: answer(text='{"label": "x", "size": "big"}'),
        "tag r010 third-word": answer(finish="refused", text="I cannot do that."),
    }
    told: set[str] = set()
    for _ in range(2):
        project.run()
        for event in project.events:
            line = json.loads(to_line(to_record(event)))
            validator.validate(line)
            told.add(line["event"])
    assert told == {"started", "expected", "attempt", "outcome", "note", "finished"}
    recorded = (project.root / ".runner/runs/r1/journal.jsonl").read_text().splitlines()
    assert len(recorded) > 100
    for text in recorded:
        validator.validate(json.loads(text))
