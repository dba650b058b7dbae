"""Files to typed values: YAML with places, the grammar of each file kind, and the disk."""
