"""The command line: one file a command, shared options, one output object."""
