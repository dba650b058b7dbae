"""The journal of a run and what it adds up to."""
