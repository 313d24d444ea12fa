"""`python -m cluster.bench`: every bench, one after the other."""

from __future__ import annotations

import subprocess
import sys

BENCHES = (
    "detect_http",
    "rectangle",
    "memory",
    "attributes",
    "gallery",
    "many_libraries",
    "recognition",
    "storage_http",
    "video_decode",
    "video_tasks",
    "task_overhead",
    "redact",
    "admin_lists",
    "metrics_cost",
    "autoscaling",
    "faults",
    "soak",
)

for bench in BENCHES:
    print(f"\n== {bench}", flush=True)
    subprocess.run([sys.executable, "-m", f"cluster.bench.{bench}"], check=True)  # noqa: S603 - our own
