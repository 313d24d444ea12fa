"""The process that starts a further node, in the environment of the service: `cluster.join ADDRESS CPUS`."""

import sys

from cluster.nodes import join

if __name__ == "__main__":
    join(sys.argv[1], int(sys.argv[2]))
