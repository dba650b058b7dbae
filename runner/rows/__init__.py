"""Rows in from files, tables out to files."""
