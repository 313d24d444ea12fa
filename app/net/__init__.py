"""Connections that this service makes to addresses which callers name: no way into the operator's network."""
