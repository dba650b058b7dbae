"""The version as a constant: reading the installed metadata takes longer than `--version` may."""

VERSION = "0.1.0"
