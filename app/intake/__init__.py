"""How media comes from wherever callers keep it into a scratch file of this machine."""
