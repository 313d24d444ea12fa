"""The process that starts a further node: `python -m cluster.join ADDRESS CPUS`, in the service's environment."""

import sys

from cluster.nodes import join

if __name__ == "__main__":
    join(sys.argv[1], int(sys.argv[2]))
