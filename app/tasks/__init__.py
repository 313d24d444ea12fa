"""Asynchronous tasks: accepted, queued, run, resumed after any death, and told about."""
