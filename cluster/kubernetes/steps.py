"""Changes of shape without a lost request, where Serve is told of them by YAML and not by `facefleet up`.

    python -m cluster.kubernetes.steps OLD_SERVE_CONFIG NEW_SERVE_CONFIG

Serve takes away at once what a new configuration does not have, though replicas of the one before still
call it until they are replaced. `facefleet up` therefore deploys twice; KubeRay and `serve deploy` send what
they are given. This prints the configuration to apply first, where one is needed: apply it, wait until the
application is RUNNING and no replica is STOPPING, then apply the new one.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

from deployments.args import AppArgs


def leaving(old: AppArgs, new: AppArgs) -> tuple[str, ...]:
    """Return which deployments of the old shape the new one lacks; both placements must be decided."""
    return tuple(sorted(set(old.behind_ingress()) - set(new.behind_ingress())))


def first_step(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any] | None:
    """Return the configuration to apply before the new one; None where the new one may be applied at once.

    Raises:
        ValueError: a placement is `auto`, which is decided only in the cluster.
    """
    was, will = _args(old), _args(new)
    for args in (was, will):
        if "auto" in {args.placement.decode, args.placement.detector, args.placement.attributes}:
            message = "say where stages live instead of `auto`: what that means is decided in the cluster"
            raise ValueError(message)
    gone = leaving(was, will)
    if not gone:
        return None
    (application,) = new["applications"]
    between = {**application, "args": {**application.get("args", {}), "leaving": list(gone)}}
    return {**new, "applications": [between]}


def _args(config: dict[str, Any]) -> AppArgs:
    (application,) = config["applications"]
    return AppArgs.model_validate(application.get("args", {}))


def main() -> None:
    """Print the first of two steps, or that there is only one."""
    old, new = (yaml.safe_load(Path(name).read_text()) for name in sys.argv[1:3])
    step = first_step(old, new)
    if step is None:
        sys.stderr.write("no deployment goes: apply the new configuration at once\n")
        return
    sys.stderr.write("apply this first, wait until no replica is STOPPING, then apply the new one\n")
    yaml.safe_dump(step, sys.stdout, sort_keys=False)


if __name__ == "__main__":
    main()
