"""Answers kept: bytes in and out, in layers."""
