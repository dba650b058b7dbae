"""Requests out, payloads in; keys, weights and scripted answers."""
