"""Telling callers' servers how their tasks ended."""
