"""Asking, with one retry layer, single flight and durable answers."""
