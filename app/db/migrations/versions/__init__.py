"""One module per change, applied in order."""
