"""The models that are named where one does not see a kind of file."""

from __future__ import annotations

import pytest

from runner.app.project import catalogue
from runner.app.takers import models_taking
from runner.core.media import MediumKind

TODAY = "2026-11-22"


@pytest.mark.parametrize("kind", ["image", "audio", "video", "document"])
def test_each_kind_has_models_that_see_it_and_say_so(kind: MediumKind) -> None:
    known = catalogue()
    for name in models_taking(kind, "gemini", known, TODAY):
        owner, _, model = name.partition("/")
        assert kind in known.models[owner, model].accepts


def test_those_of_the_same_provider_come_first() -> None:
    owners = [name.partition("/")[0] for name in models_taking("image", "openai", catalogue(), TODAY)]
    count = owners.count("openai")
    assert set(owners[:count]) == {"openai"}
    assert len(owners) > count > 0


def test_a_protocol_without_a_word_for_the_kind_has_none() -> None:
    owners = {name.partition("/")[0] for name in models_taking("video", "openai", catalogue(), TODAY)}
    assert owners == {"gemini", "vertex"} | (owners & {"cometapi"})


def test_a_model_that_is_switched_off_is_not_named() -> None:
    known = catalogue()
    ended = {f"{owner}/{model}" for (owner, model), facts in known.models.items() if facts.retired and facts.accepts}
    assert ended & set(models_taking("image", "gemini", known, "2000-01-01"))
    assert not ended & set(models_taking("image", "gemini", known, "9999-01-01"))
