from __future__ import annotations

import importlib
import inspect
import pkgutil
from dataclasses import FrozenInstanceError, fields, is_dataclass, replace
from typing import Any

import pytest

import runner.core
from runner.core.call import Call, Message
from runner.core.model import THINKING_LEVELS, FactsGiven, ModelFacts, Price
from runner.core.outcome import ANSWER_KINDS, RETRIED_KINDS, ROUTE_STOPPERS, Failure, FailureKind
from runner.core.ports import CallFailed
from runner.core.response import Usage
from runner.core.span import Span
from runner.core.workflow import Located, SchemaSource, Step

HERE = Span("w.yaml", 1, 1)
MODULES = [importlib.import_module(f"runner.core.{info.name}") for info in pkgutil.iter_modules(runner.core.__path__)]
RECORDS: dict[str, Any] = {
    name: thing
    for module in MODULES
    for name, thing in inspect.getmembers(module, is_dataclass)
    if thing.__module__ == module.__name__
}


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_every_record_is_frozen_and_without_a_dict(record: Any) -> None:
    assert record.__dataclass_params__.frozen
    assert not hasattr(record.__new__(record), "__dict__")


def test_a_call_cannot_be_changed() -> None:
    call = Call("m", (Message("user", "x"),))
    with pytest.raises(FrozenInstanceError):
        call.model = "n"  # type: ignore[misc] # that is the point


def test_a_call_holds_nothing_that_does_not_change_the_answer() -> None:
    names = {field.name for field in fields(Call)}
    assert not names & {"api_key", "timeout", "timeout_s", "retries", "price", "limits", "step", "name"}


def test_a_key_without_a_place_stands_where_its_step_does() -> None:
    step = Step(span=HERE, name="s", spans={"thinking": Span("w.yaml", 4, 9)})
    assert step.at("thinking") == Span("w.yaml", 4, 9)
    assert step.at("model") == HERE
    assert step == Step(span=HERE, name="s")
    assert isinstance(step, Located)


def test_a_value_inside_a_schema_stands_where_the_nearest_value_around_it_does() -> None:
    spans = {"/properties": Span("w.yaml", 2, 3), "/properties/a/type": Span("w.yaml", 3, 5)}
    source = SchemaSource({}, HERE, spans=spans)
    assert source.at("/properties/a/type") == Span("w.yaml", 3, 5)
    assert source.at("/properties/a") == source.at("/properties/b/items/0") == Span("w.yaml", 2, 3)
    assert source.at("/required") == source.at("") == HERE


def test_a_failed_call_says_why_and_how_often_it_was_sent() -> None:
    failure = Failure(FailureKind.TRANSIENT, "the server is overloaded", status=503)
    error = CallFailed(failure, requests=3)
    assert (error.failure, error.requests, str(error)) == (failure, 3, "the server is overloaded")
    assert CallFailed(failure).requests == 1


def test_kinds_of_failure_do_not_overlap() -> None:
    assert not ANSWER_KINDS & RETRIED_KINDS
    assert not ANSWER_KINDS & ROUTE_STOPPERS
    assert not RETRIED_KINDS & ROUTE_STOPPERS
    assert len({kind.value for kind in FailureKind}) == len(FailureKind)


def test_what_is_not_known_is_not_zero() -> None:
    assert {getattr(Usage(), field.name) for field in fields(Usage)} == {None}


def test_what_a_project_says_of_a_model_goes_before_the_catalogue() -> None:
    listed = ModelFacts("p", "m", "Title", ("low", "high"), "high", context_tokens=10, is_listed=False)
    said = FactsGiven(context_tokens=20, refuses=("seed",)).over(listed)
    assert said == replace(listed, context_tokens=20, refuses=("seed",), is_listed=True)
    assert FactsGiven(thinking_levels=("none", "high")).over(listed).default_thinking == "high"
    assert FactsGiven(thinking_levels=("none", "low")).over(listed).default_thinking == "none"
    assert FactsGiven(thinking_levels=()).over(listed).default_thinking is None


def test_levels_go_from_none_to_max() -> None:
    assert THINKING_LEVELS == ("none", "minimal", "low", "medium", "high", "max")


def test_what_costs_nothing_costs_nothing_in_a_batch_and_what_has_no_batch_has_no_price() -> None:
    free = Price(0, 0)
    assert free.in_batch is free
    assert Price(1, 2).in_batch is None
    assert Price(1, 2, 0.5, batch=0.5).in_batch == Price(0.5, 1.0, 0.25)
