"""One wire protocol per module; pure: no HTTP, no clock."""
