"""Benches: commands that measure on this machine and print what they saw beside what is possible."""
