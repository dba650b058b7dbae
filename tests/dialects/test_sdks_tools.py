"""The official clients and our dialects tell the same local server of the same tools: the bodies must mean the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from google import genai
from google.genai import types
from openai import OpenAI

from runner.core.call import Call, Message, ToolResult, ToolSpec
from runner.core.frozen import replace
from runner.core.model import Route
from runner.core.response import Finish, Response
from runner.dialects import DIALECTS

RouteTo = Callable[..., Route]
Ask = Callable[..., Call]
PARAMETERS = {"type": "object", "properties": {"sku": {"type": "string"}}, "required": ["sku"]}
LOOKUP = ToolSpec("lookup", "Looks up an article.", PARAMETERS)
OWN = (ToolSpec("search", own="web_search"), ToolSpec("sums", own="code_execution"))
# One model calls twice at once, and is told what came of it.
CALLS = (("lookup", {"sku": "A1"}), ("lookup", {"sku": "B2"}))
RESULTS = ('{"left":3}', "[]")
CHOICES = ["", "required", "none", "lookup"]
SEAL = "c2VhbGVk"


@pytest.fixture
def respond(counting_server: Any) -> Callable[..., Any]:
    def say(_dialect: str, body: Any, number: int) -> Any:
        said = counting_server.Answer("Three.") if number > 1 else counting_server.Answer(calls=CALLS)
        if "googleSearch" in json.dumps(body) and "functionDeclarations" in json.dumps(body):
            said = replace(said, searched="sea")
        return replace(said, thoughts="Let me look.") if "includeThoughts" in json.dumps(body) else said

    return say


def body(dialect: str, call: Call, route: Route) -> Any:
    return json.loads(bytes(DIALECTS[dialect].encode(call, route).body))


def theirs(server: Any) -> list[Any]:
    assert server.refused == []
    return [meaning(request.body) for request in server.requests]


def meaning(sent: Any) -> Any:
    """Google's client also says that it configures nothing."""
    return {name: value for name, value in sent.items() if (name, value) != ("generationConfig", {})}


def answered(call: Call, response: Response) -> Call:
    """The next turn, as a run puts it."""
    assert response.finish is Finish.TOOLS
    assert tuple((one.name, one.arguments) for one in response.calls) == CALLS
    results = tuple(ToolResult(one, text) for one, text in zip(response.calls, RESULTS, strict=True))
    said = Message("assistant", response.text, said=response.said)
    return replace(call, messages=(*call.messages, said, Message("user", "", results=results)), tool_choice="")


def google_config(choice: str, *, is_thinking: bool = False) -> types.GenerateContentConfig:
    declared = types.FunctionDeclaration(
        name="lookup", description=LOOKUP.description, parameters_json_schema=PARAMETERS
    )
    modes: dict[str, Any] = {"required": "ANY", "none": "NONE", "lookup": "ANY"}
    names = ["lookup"] if choice == "lookup" else None
    calling = types.FunctionCallingConfig(mode=modes[choice], allowed_function_names=names) if choice else None
    return types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[declared])],
        tool_config=types.ToolConfig(function_calling_config=calling) if calling else None,
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        thinking_config=types.ThinkingConfig(thinking_level=types.ThinkingLevel.HIGH, include_thoughts=True)
        if is_thinking
        else None,
    )


@pytest.mark.parametrize("choice", CHOICES)
def test_googles_client_declares_and_chooses_as_we_do(
    server: Any, google_client: genai.Client, route_to: RouteTo, ask: Ask, choice: str
) -> None:
    google_client.models.generate_content(model="gemini-3.1-flash-lite", contents="hi", config=google_config(choice))
    assert theirs(server) == [body("gemini", ask("hi", tools=(LOOKUP,), tool_choice=choice), route_to("gemini"))]


@pytest.mark.parametrize("is_thinking", [False, True])
def test_googles_client_sends_back_signed_calls_and_results_as_we_do(
    server: Any, google_client: genai.Client, route_to: RouteTo, ask: Ask, *, is_thinking: bool
) -> None:
    """With the thoughts that were told, too: the turn goes back whole."""
    asked: dict[str, Any] = {"model": "gemini-3.1-flash-lite", "config": google_config("", is_thinking=is_thinking)}
    question = types.Content(role="user", parts=[types.Part(text="hi")])
    said = google_client.models.generate_content(contents=[question], **asked)
    assert said.candidates
    turn = said.candidates[0].content
    assert turn
    results = types.Content(
        role="user",
        parts=[
            types.Part(function_response=types.FunctionResponse(name="lookup", response={"output": json.loads(text)}))
            for text in RESULTS
        ],
    )
    google_client.models.generate_content(contents=[question, turn, results], **asked)
    options = {"includeThoughts": True} if is_thinking else {}
    first = ask("hi", tools=(LOOKUP,), thinking="high" if is_thinking else None, options=options)
    response = DIALECTS["gemini"].decode(payload_of(said))
    assert response.thoughts == ("Let me look." if is_thinking else "")
    mine = body("gemini", answered(first, response), route_to("gemini"))
    parts = mine["contents"][1]["parts"]
    assert [part.get("thoughtSignature") for part in parts if "functionCall" in part] == [SEAL, None]
    assert theirs(server)[1] == mine


def payload_of(said: Any) -> bytes:
    """An answer as it came, from the client that read it."""
    found: str = said.model_dump_json(by_alias=True, exclude_none=True, exclude={"sdk_http_response", "parsed"})
    return found.encode()


def test_googles_client_asks_for_its_own_tools_as_we_do(
    server: Any, google_client: genai.Client, route_to: RouteTo, ask: Ask
) -> None:
    tools = [types.Tool(google_search=types.GoogleSearch()), types.Tool(code_execution=types.ToolCodeExecution())]
    google_client.models.generate_content(
        model="gemini-3.1-flash-lite", contents="hi", config=types.GenerateContentConfig(tools=list(tools))
    )
    assert theirs(server) == [body("gemini", ask("hi", tools=OWN), route_to("gemini"))]


def test_googles_client_asks_for_its_own_tools_beside_functions_as_we_do(
    server: Any, google_client: genai.Client, route_to: RouteTo, ask: Ask
) -> None:
    """What the provider ran goes back with the turn, too. In which order tools are told of says nothing."""
    declared = types.FunctionDeclaration(
        name="lookup", description=LOOKUP.description, parameters_json_schema=PARAMETERS
    )
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[declared]), types.Tool(google_search=types.GoogleSearch())],
        tool_config=types.ToolConfig(include_server_side_tool_invocations=True),
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )
    question = types.Content(role="user", parts=[types.Part(text="hi")])
    asked: dict[str, Any] = {"model": "gemini-3.1-flash-lite", "config": config}
    said = google_client.models.generate_content(contents=[question], **asked)
    assert said.candidates
    turn = said.candidates[0].content
    assert turn
    results = types.Content(
        role="user",
        parts=[
            types.Part(function_response=types.FunctionResponse(name="lookup", response={"output": json.loads(text)}))
            for text in RESULTS
        ],
    )
    google_client.models.generate_content(contents=[question, turn, results], **asked)
    first = ask("hi", tools=(LOOKUP, OWN[0]))
    response = DIALECTS["gemini"].decode(payload_of(said))
    mine = body("gemini", answered(first, response), route_to("gemini"))
    assert [name for part in mine["contents"][1]["parts"] for name in part if name.startswith("tool")] == [
        "toolCall",
        "toolResponse",
    ]
    first_body = body("gemini", first, route_to("gemini"))
    assert [{**one, "tools": one["tools"][::-1]} for one in theirs(server)] == [first_body, mine]


def chat_asked(choice: str) -> dict[str, Any]:
    function = {"name": "lookup", "description": LOOKUP.description, "parameters": PARAMETERS}
    named = {"type": "function", "function": {"name": "lookup"}}
    chosen = {"tool_choice": named if choice == "lookup" else choice} if choice else {}
    return {"model": "gpt-5.4-mini", "tools": [{"type": "function", "function": function}], **chosen}


@pytest.mark.parametrize("choice", CHOICES)
def test_openais_client_declares_and_chooses_in_chats_as_we_do(
    server: Any, openai_client: OpenAI, route_to: RouteTo, ask: Ask, choice: str
) -> None:
    openai_client.chat.completions.create(messages=[{"role": "user", "content": "hi"}], **chat_asked(choice))
    call = ask("hi", tools=(LOOKUP,), tool_choice=choice)
    assert theirs(server) == [body("openai-chat", call, route_to("openai-chat"))]


def test_openais_client_sends_back_calls_and_results_in_chats_as_we_do(
    server: Any, openai_client: OpenAI, route_to: RouteTo, ask: Ask
) -> None:
    messages: list[Any] = [{"role": "user", "content": "hi"}]
    said = openai_client.chat.completions.create(messages=messages, **chat_asked(""))
    turn = said.choices[0].message
    assert turn.tool_calls
    results: list[Any] = [
        {"role": "tool", "tool_call_id": one.id, "content": text}
        for one, text in zip(turn.tool_calls, RESULTS, strict=True)
    ]
    again: Any = {"content": None, **turn.model_dump(exclude_none=True)}
    openai_client.chat.completions.create(messages=[*messages, again, *results], **chat_asked(""))
    response = DIALECTS["openai-chat"].decode(said.model_dump_json().encode())
    mine = body("openai-chat", answered(ask("hi", tools=(LOOKUP,)), response), route_to("openai-chat"))
    sent = theirs(server)[1]
    # A turn with calls says nothing besides: null and no content are one.
    assert [without_nothing(one) for one in mine.pop("messages")] == [
        without_nothing(one) for one in sent.pop("messages")
    ]
    assert mine == sent


def without_nothing(message: Any) -> Any:
    return {name: value for name, value in message.items() if value not in (None, [])}


def response_asked(choice: str, *, is_thinking: bool = False) -> dict[str, Any]:
    tool = {"type": "function", "name": "lookup", "description": LOOKUP.description, "parameters": PARAMETERS}
    chosen = {"tool_choice": {"type": "function", "name": "lookup"} if choice == "lookup" else choice} if choice else {}
    thought = {"reasoning": {"effort": "high"}, "include": ["reasoning.encrypted_content"]} if is_thinking else {}
    return {"model": "gpt-5.4-mini", "store": False, "tools": [{**tool, "strict": False}], **chosen, **thought}


@pytest.mark.parametrize("choice", CHOICES)
def test_openais_client_declares_and_chooses_in_responses_as_we_do(
    server: Any, openai_client: OpenAI, route_to: RouteTo, ask: Ask, choice: str
) -> None:
    openai_client.responses.create(input=[{"role": "user", "content": "hi"}], **response_asked(choice))
    call = ask("hi", tools=(LOOKUP,), tool_choice=choice)
    assert theirs(server) == [body("openai-responses", call, route_to("openai-responses"))]


@pytest.mark.parametrize("is_thinking", [False, True])
def test_openais_client_sends_back_signed_items_and_results_in_responses_as_we_do(
    server: Any, openai_client: OpenAI, route_to: RouteTo, ask: Ask, *, is_thinking: bool
) -> None:
    """What it thought is asked for where it thinks, since nothing is kept there, and goes back sealed."""
    question: list[Any] = [{"role": "user", "content": "hi"}]
    asked = response_asked("", is_thinking=is_thinking)
    said = openai_client.responses.create(input=question, **asked)
    items = [item.model_dump(exclude_none=True) for item in said.output]
    called = [item for item in said.output if item.type == "function_call"]
    results: list[Any] = [
        {"type": "function_call_output", "call_id": one.call_id, "output": text}
        for one, text in zip(called, RESULTS, strict=True)
    ]
    openai_client.responses.create(input=[*question, *items, *results], **asked)
    response = DIALECTS["openai-responses"].decode(said.model_dump_json().encode())
    first = ask("hi", tools=(LOOKUP,), thinking="high" if is_thinking else None)
    mine = body("openai-responses", answered(first, response), route_to("openai-responses"))
    assert [item["encrypted_content"] for item in mine["input"] if item.get("type") == "reasoning"] == [SEAL]
    assert theirs(server)[1] == mine


def test_openais_client_asks_for_its_own_tools_as_we_do(
    server: Any, openai_client: OpenAI, route_to: RouteTo, ask: Ask
) -> None:
    openai_client.responses.create(
        model="gpt-5.4-mini",
        store=False,
        input=[{"role": "user", "content": "hi"}],
        tools=[{"type": "web_search"}, {"type": "code_interpreter", "container": {"type": "auto"}}],
    )
    assert theirs(server) == [body("openai-responses", ask("hi", tools=OWN), route_to("openai-responses"))]
