"""Schemas, parsing, validation, and the judgement of an answer."""
