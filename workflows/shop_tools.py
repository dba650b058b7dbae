"""What the model of `shop.yaml` may call: functions like any others. `runner.yaml` names them."""

import json
from pathlib import Path

PRODUCTS = Path(__file__).parents[1] / "data" / "products.jsonl"
PRICES_EUR = {"kettle": 24.5, "lamp": 18.0, "scale": 32.0}
LEFT = {"kettle": 7, "lamp": 0, "scale": 12}


def find_articles(words: str) -> list[dict[str, object]]:
    wanted = [word.strip(",.").lower() for word in words.split()]
    rows = [json.loads(line) for line in PRODUCTS.read_text(encoding="utf-8").splitlines()]
    return [
        {"article": row["id"], "text": row["text"], "price_eur": PRICES_EUR[row["id"]]}
        for row in rows
        if any(word in row["text"].lower() for word in wanted if len(word) > 3)
    ]


def stock_of(article: str) -> dict[str, int]:
    if article not in LEFT:
        raise LookupError(f"there is no article '{article}', only {', '.join(LEFT)}")
    return {"left": LEFT[article]}
