"""The command line: the error boundary, the only printing, one file per command."""
