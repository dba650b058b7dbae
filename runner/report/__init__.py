"""A run summary as text."""
