"""The process that starts a further node, in the service's environment: `cluster.join ADDRESS CPUS NAME`."""

import sys

from cluster.nodes import join

if __name__ == "__main__":
    join(sys.argv[1], int(sys.argv[2]), sys.argv[3])
