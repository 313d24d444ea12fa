"""`python -m cluster` is the `facefleet` command."""

from cluster.cli import main

main()
