"""Makes the recordings of the examples, through their suites.

    PYTHONPATH=. python tests/servers/record_examples.py [NAME …]

What the embedded model can answer it answers. For the rest a local server plays the provider: those answers were written
by hand, and the server names itself as the model, so that nobody takes them for a real one's.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import chdir
from pathlib import Path
from typing import Any

import httpx
from counting_server import Answer, CountingServer

import runner.transport.port
from runner.cli.main import main

ROOT = Path(__file__).parents[2]
MODEL = "a local test server, no real model"
BELL = {"number": "88", "currency": "GBP", "lines": [{"name": "bicycle bell", "quantity": 1, "price": 12}], "total": 12}
LAMP_PAGE = """\
<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Reading lamp</title></head>
<body>
<h1>Reading lamp</h1>
<form>
<p><label><input type="checkbox" name="on"> Light</label></p>
<p><label>Brightness <input type="range" name="brightness" min="0" max="100"></label></p>
<p><label>Colour <select name="colour"><option>warm</option><option>neutral</option></select></label></p>
</form>
</body>
</html>"""

# Which words of a request get which answers; of several the next one at each request, the last one from then on. A tuple
# are calls of tools.
ANSWERS: dict[str, list[Any]] = {
    # image-question, audio-notes
    "Which shape is the largest?": [
        {
            "shapes": [
                {"shape": "square", "colour": "red"},
                {"shape": "disc", "colour": "green"},
                {"shape": "bar", "colour": "blue"},
            ],
            "answer": "The red square is the largest shape.",
        }
    ],
    "Which colours do you see?": [
        {
            "shapes": [
                {"shape": "square", "colour": "red"},
                {"shape": "disc", "colour": "green"},
                {"shape": "bar", "colour": "blue"},
            ],
            "answer": "I see red, green and blue.",
        }
    ],
    "what is to be heard": [
        {"note": "Three plain tones follow one another, each higher than the one before.", "tones": 3}
    ],
    # video-scenes
    "What moves, in which colour": [
        {
            "scenes": [
                {"second": 0, "colour": "red", "direction": "right"},
                {"second": 2, "colour": "blue", "direction": "left"},
            ]
        }
    ],
    # shop: what comes last in a conversation stands first
    '"left": 7': ["There are seven kettles left; the lamps are sold out, I am afraid."],
    "how many lamps": [(("stock_of", {"article": "kettle"}), ("stock_of", {"article": "lamp"}))],
    '"price_eur": 24.5': ["We have a kettle that boils a litre of water in three minutes, for 24.50 EUR."],
    "I want to boil water": [(("find_articles", {"words": "boil water"}),)],
    # cheap-first
    "coffee machine Aurora": [{"queue": "bug", "confidence": 0.94}],
    "You charged me twice": [{"queue": "billing", "confidence": 0.97}],
    # translation
    "into German, in a plain tone. Keep numbers and units. Say nothing else.\\nBoils": [
        "Kocht einen Liter Wasser in drei Minuten und schaltet sich selbst ab."
    ],
    "into German, in a plain tone. Keep numbers and units. Say nothing else.\\nA small": [
        "Eine kleine Lampe mit warmem Licht, gemacht zum Lesen im Bett."
    ],
    "into German, in a plain tone. Keep numbers and units. Say nothing else.\\nWeighs": [
        "Wiegt bis zu 5 kg, auf das Gramm genau."
    ],
    "into Spanish, in a plain tone. Keep numbers and units. Say nothing else.\\nBoils": [
        "Hierve un litro de agua en tres minutos y se apaga solo."
    ],
    "into Spanish, in a plain tone. Keep numbers and units. Say nothing else.\\nA small": [
        "Una lámpara pequeña de luz cálida, hecha para leer en la cama."
    ],
    "into Spanish, in a plain tone. Keep numbers and units. Say nothing else.\\nWeighs": ["Pesa hasta 5 kg, al gramo."],
    # moderation
    "Thank you, that was": [{"label": "fine", "reason": "It thanks somebody."}],
    "You are an idiot": [{"label": "harassment", "reason": "It insults a person."}],
    "CHEAP PILLS": [{"label": "spam", "reason": "It advertises a shop that has nothing to do with films."}],
    "I know where you live": [{"label": "harassment", "reason": "It attacks a person."}],
    "the worst film": [{"label": "fine", "reason": "It criticises a film."}],
    "You have won": [{"label": "spam", "reason": "It asks for bank details."}],
    # invoice
    "Invoice 2024-117": [
        {
            "number": "2024-117",
            "date": "2024-03-03",
            "currency": "EUR",
            "lines": [
                {"name": "coffee beans", "quantity": 2, "price": 8.5},
                {"name": "filter paper", "quantity": 1, "price": 3.2},
            ],
            "total": 20.2,
        }
    ],
    "one bicycle bell": [{**BELL, "date": "1 June 2024"}, {**BELL, "date": "2024-06-01"}],
    # page
    "a settings page for a reading lamp": [
        {
            "title": "Reading lamp",
            "controls": [
                {"label": "Light", "kind": "switch", "options": []},
                {"label": "Brightness", "kind": "slider", "options": []},
                {"label": "Colour", "kind": "choice", "options": ["warm", "neutral"]},
            ],
        }
    ],
    "Write one HTML page": [LAMP_PAGE],
    # benchmarks/multiple-choice: one of six is wrong
    "Why does ice float": [{"reason": "Hydrogen bonds hold the molecules of ice apart.", "letter": "D"}],
    "A satellite moves from": [{"reason": "A higher orbit is slower and has more energy.", "letter": "C"}],
    "Two plants that are heterozygous": [{"reason": "One quarter of one quarter.", "letter": "D"}],
    "Equal amounts of a weak acid": [{"reason": "With equal amounts the pH is the pKa.", "letter": "A"}],
    "A mass on an ideal spring": [{"reason": "Half a spring, half the period.", "letter": "A"}],
    "One base is inserted": [{"reason": "The reading frame shifts.", "letter": "B"}],
    # benchmarks/needle
    "Behind what does the spare key hang?": [{"answer": "the barometer"}],
    "What is the cat of the lighthouse called?": [{"answer": "Bosun"}],
    "In which locker does the parcel": [{"answer": "4417"}],
    "From which town did the new lens come?": [{"answer": "Trieste"}],
    "Who painted the door": [{"answer": "not said"}],
    # benchmarks/chart: one bar too many is counted
    "Which colour has the tallest bar?": [{"answer": "Red"}],
    "How many bars are there?": [{"answer": "4"}],
    "Which colour has the shortest bar?": [{"answer": "green"}],
    "How many bars are taller than the blue one?": [{"answer": "3"}],
}


class Redirected(httpx.AsyncBaseTransport):
    """Sends everything to one address, whatever host it is for."""

    def __init__(self, address: str) -> None:
        self._inner = httpx.AsyncHTTPTransport()
        self._address = httpx.URL(address)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.url = request.url.copy_with(scheme="http", host=self._address.host, port=self._address.port)
        return await self._inner.handle_async_request(request)


def respond(_dialect: str, body: Any, _n: int) -> Answer:
    asked = json.dumps(body, ensure_ascii=False)
    for words, answers in ANSWERS.items():
        if words in asked:
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            if isinstance(answer, tuple):
                return Answer(calls=answer, model=MODEL, input_tokens=len(asked) // 4, output_tokens=20 * len(answer))
            text = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
            return Answer(text, model=MODEL, input_tokens=len(asked) // 4, output_tokens=len(text) // 4)
    raise AssertionError(f"no answer is written for {asked}")


def record(suites: list[str]) -> int:
    server = CountingServer(respond)
    server.start()
    made = runner.transport.port.HttpTransport

    class ToServer(made):  # type: ignore[misc, valid-type] # a class that is known only here
        def __init__(self, *args: Any, **named: Any) -> None:
            super().__init__(*args, **{**named, "inner": Redirected(server.base_url)})

    runner.transport.port.HttpTransport = ToServer  # type: ignore[misc]
    try:
        with chdir(ROOT):
            return main(["test", "--record", "--yes", *suites])
    finally:
        runner.transport.port.HttpTransport = made  # type: ignore[misc]
        server.stop()


if __name__ == "__main__":
    os.environ.setdefault("GEMINI_API_KEY", "none-is-needed-here")
    sys.exit(record([str(ROOT / "workflows" / f"{name}.suite.yaml") for name in sys.argv[1:]]))
