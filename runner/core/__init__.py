"""Plain types and pure functions; the standard library and orjson only."""
