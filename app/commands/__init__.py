"""Commands of `facefleet` that speak to a running service; they need neither Ray nor a database here."""
