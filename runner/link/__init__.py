"""References resolved once: needs, lanes, stages."""
