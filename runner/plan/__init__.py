"""Which calls are ready: pure and incremental."""
