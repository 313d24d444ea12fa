"""Bulk jobs as processes, against the service as a process."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from tests.app.tasks.running_service import KEY, ROOT, running_service

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path


@dataclass
class Bench:
    """A folder to work in, and the service's address."""

    folder: Path
    url: str
    key: str = KEY
    variables: Mapping[str, str] = field(default_factory=dict)

    def command(self, *arguments: str) -> list[str]:
        """Return a command line."""
        return [sys.executable, "-m", "cluster", *arguments]

    @property
    def environment(self) -> dict[str, str]:
        """Return what commands run with."""
        given = {"FACEFLEET_URL": self.url, "FACEFLEET_KEY": self.key, "PYTHONPATH": str(ROOT)}
        return {**os.environ, **given, **self.variables}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            self.command(*arguments),
            env=self.environment,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def pictures(self, count: int) -> list[str]:
        """Draw pictures, each unlike the others, and return their names."""
        names = [f"picture-{number:04d}.png" for number in range(count)]
        for number, name in enumerate(names):
            pixels = np.full((120, 200, 3), number % 256, np.uint8)
            Image.fromarray(pixels).save(self.folder / name)
        return names

    def manifest(self, heads: Sequence[str], rows: Sequence[Sequence[object]], name: str = "m.csv") -> str:
        """Write a manifest and return its name."""
        with (self.folder / name).open("w", newline="", encoding="utf-8") as stream:
            lines = csv.writer(stream)
            lines.writerow(heads)
            lines.writerows(rows)
        return name


@pytest.fixture(scope="module")
def service_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run the service for a file's tests."""
    with running_service(tmp_path_factory.mktemp("home")) as service:
        yield service.url


@pytest.fixture
def bench(tmp_path: Path, service_url: str) -> Bench:
    """Return a place to work."""
    return Bench(tmp_path, service_url)
