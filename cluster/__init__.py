"""The operator's room: start, stop, command line, load tools."""
