"""Many vectors, and which of them are nearest: what answers "who is this?"."""
