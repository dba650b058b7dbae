"""Conversations with tools, as strict as the real services: each call answered, in order, and signed turns sent back whole."""

from __future__ import annotations

import json

from wire import Answer, Json, Refused, only, words

SEAL = "c2VhbGVk"


def _need(holds: object, message: str) -> None:
    if not holds:
        raise Refused(400, message)


def _check_function(function: Json, parameters: str, more: str = "") -> None:
    only(function, words(f"name description {parameters} {more}"), "tools.")
    _need(function.get("name") and function[parameters].get("type") == "object", "a tool needs a name and an object")


# Chat Completions


def check_chat_tools(body: Json) -> None:
    for tool in body.get("tools", ()):
        only(tool, words("type function"), "tools.")
        _check_function(tool["function"], "parameters", "strict")
    choice = body.get("tool_choice", "auto")
    if isinstance(choice, dict):
        only(choice, words("type function"), "tool_choice.")
        choice = "auto"
    _need(choice in {"auto", "none", "required"}, "invalid tool_choice")
    _need("tools" in body or "tool_choice" not in body, "'tool_choice' is only allowed when 'tools' are specified")


def check_chat_turns(messages: list[Json]) -> None:
    open_ids: list[str] = []
    for message in messages:
        if message["role"] == "tool":
            only(message, words("role tool_call_id content"), "messages.")
            _need(open_ids and open_ids.pop(0) == message["tool_call_id"], "tool_call_id is not found in order")
            _need(isinstance(message["content"], str), "the content of a tool is text")
            continue
        _need(not open_ids, "tool_calls must be followed by tool messages responding to each tool_call_id")
        for call in message.get("tool_calls", ()):
            only(call, words("id type function"), "messages.tool_calls.")
            json.loads(call["function"]["arguments"])
            open_ids.append(call["id"])
    _need(not open_ids, "tool_calls must be followed by tool messages responding to each tool_call_id")


def chat_calls(answer: Answer) -> list[Json]:
    return [
        {"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": spelled(arguments)}}
        for number, (name, arguments) in enumerate(answer.calls)
    ]


def spelled(arguments: Json) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments)


# Responses


def check_responses_tools(body: Json) -> None:
    for tool in body.get("tools", ()):
        if tool in ({"type": "web_search"}, {"type": "code_interpreter", "container": {"type": "auto"}}):
            continue
        _need(tool.get("type") == "function", "unknown tool")
        _check_function(tool, "parameters", "type strict")
    choice = body.get("tool_choice", "auto")
    if isinstance(choice, dict):
        only(choice, words("type name"), "tool_choice.")


def check_responses_turns(items: list[Json]) -> list[Json]:
    """The messages; the rest is checked here."""
    open_ids: list[str] = []
    last: Json = {}
    for item in items:
        kind = item.get("type", "message")
        if kind == "function_call":
            only(item, words("id type status call_id name arguments"), "input.")
            _need(last.get("type") in {"reasoning", "function_call"}, "function_call without its reasoning item")
            open_ids.append(item["call_id"])
        elif kind == "reasoning":
            only(item, words("id type summary encrypted_content"), "input.")
            _need(item.get("encrypted_content") == SEAL, "reasoning without its encrypted content")
        elif kind == "function_call_output":
            only(item, words("type call_id output"), "input.")
            _need(open_ids and open_ids.pop(0) == item["call_id"], "no tool call found for function call output")
        else:
            _need(not open_ids, "no tool output found for function call")
        last = item
    _need(not open_ids, "no tool output found for function call")
    return [item for item in items if item.get("type", "message") == "message"]


def responses_calls(answer: Answer) -> list[Json]:
    thought: Json = {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": SEAL, "status": None}
    calls = [
        {
            "id": f"fc_{number}",
            "type": "function_call",
            "status": "completed",
            "call_id": f"call_{number}",
            "name": name,
            "arguments": spelled(arguments),
        }
        for number, (name, arguments) in enumerate(answer.calls)
    ]
    return [thought, *calls]


# Anthropic


def check_anthropic_tools(body: Json) -> None:
    for tool in body.get("tools", ()):
        _check_function(tool, "input_schema")
    choice = body.get("tool_choice", {})
    only(choice, words("type name"), "tool_choice.")
    is_thinking = body.get("thinking", {}).get("type", "disabled") != "disabled"
    is_forced = choice.get("type") in {"any", "tool"}
    _need(not (is_forced and is_thinking), "Thinking may not be enabled when tool_choice forces tool use.")
    open_ids: list[str] = []
    for message in body["messages"]:
        blocks = message["content"] if isinstance(message["content"], list) else []
        given = [block["tool_use_id"] for block in blocks if block.get("type") == "tool_result"]
        _need(given == open_ids, "tool_use ids were found without tool_result blocks immediately after")
        open_ids = [block["id"] for block in blocks if block.get("type") == "tool_use"]
        for block in blocks:
            if block.get("type") == "tool_result":
                only(block, words("type tool_use_id content is_error"), "messages.content.")
        if open_ids and body.get("thinking", {}).get("type") != "disabled":
            _need(blocks[0].get("type") == "thinking" and blocks[0]["signature"] == SEAL, "thinking must come first")
    _need(not open_ids, "tool_use ids were found without tool_result blocks immediately after")


def anthropic_calls(answer: Answer) -> list[Json]:
    thought = {"type": "thinking", "thinking": "Let me look.", "signature": SEAL}
    calls = [
        {"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": arguments}
        for number, (name, arguments) in enumerate(answer.calls)
    ]
    return [thought, *calls]


# Gemini


def check_gemini_tools(body: Json) -> None:
    own = [tool for tool in body.get("tools", ()) if tool in ({"googleSearch": {}}, {"codeExecution": {}})]
    functions = [tool for tool in body.get("tools", ()) if tool not in own]
    is_mixed = body.get("toolConfig", {}).get("includeServerSideToolInvocations") is True
    _need(
        not (own and functions) or is_mixed,
        "Please enable tool_config.include_server_side_tool_invocations to use Built-in tools with Function calling.",
    )
    _need(functions or "toolConfig" not in body, "Function calling config is set without function_declarations.")
    for tool in functions:
        only(tool, words("functionDeclarations"), "tools.")
        for function in tool["functionDeclarations"]:
            _check_function(function, "parametersJsonSchema")
    only(body.get("toolConfig", {}), words("functionCallingConfig includeServerSideToolInvocations"), "tool_config.")
    config = body.get("toolConfig", {}).get("functionCallingConfig", {})
    only(config, words("mode allowedFunctionNames"), "tool_config.function_calling_config.")
    _need(config.get("mode", "AUTO") in {"AUTO", "ANY", "NONE"}, "invalid mode")
    waiting: list[str] = []
    for turn in body["contents"]:
        parts = turn["parts"]
        given = [part["functionResponse"]["name"] for part in parts if "functionResponse" in part]
        _need(given == waiting, "the number of function response parts must equal that of function call parts")
        called = [part for part in parts if "functionCall" in part]
        run = [part["toolCall"]["id"] for part in parts if "toolCall" in part]
        answered = [part["toolResponse"]["id"] for part in parts if "toolResponse" in part]
        _need(run == answered, "each toolCall goes back with its toolResponse")
        waiting = [part["functionCall"]["name"] for part in called]
        _need(not called or called[0].get("thoughtSignature") == SEAL, "Function call is missing a thought_signature")
    _need(not waiting, "the number of function response parts must equal that of function call parts")


def gemini_calls(answer: Answer) -> list[Json]:
    """In parallel calls only the first is signed. What the provider ran itself stands before them."""
    parts = [{"functionCall": {"name": name, "args": arguments}} for name, arguments in answer.calls]
    signed = [{**part, "thoughtSignature": SEAL} if number == 0 else part for number, part in enumerate(parts)]
    if not answer.searched:
        return signed
    kind = {"toolType": "GOOGLE_SEARCH_WEB", "id": "search_1"}
    return [
        {"toolCall": {**kind, "args": {"queries": [answer.searched]}}, "thoughtSignature": SEAL},
        {"toolResponse": {**kind, "response": {"search_suggestions": "sea"}}},
        *signed,
    ]
