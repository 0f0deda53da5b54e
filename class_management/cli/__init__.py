"""The command line: a folder or a module for each command."""
