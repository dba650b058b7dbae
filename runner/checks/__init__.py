"""Static findings over a linked workflow."""
