"""`python -m cluster.bench.recognition`: one search over HTTP beside the same work done in this process.

A service with one ingress replica and a library of made-up people is asked again and again who is on a
portrait; here the same picture is decoded, its face is found and embedded by the same networks on one thread,
and FAISS compares it with as many vectors. What the service adds is HTTP, the key, the database and names.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import statistics
import time
from pathlib import Path

import faiss
import httpx
from rich.console import Console
from rich.table import Table

from cluster.bench.gallery import people
from cluster.bench.load import UNLIMITED
from cluster.bench.pictures import portrait
from cluster.trial import trial_service
from models.detectors import load_detector
from models.embedder import load_embedder
from models.manifest import load_manifest
from models.session import RuntimeOptions
from models.store import Store
from pipelines.analyze_image import ImageAnalyzer
from pipelines.embed_faces import CropEmbedder
from pipelines.lane import InlineDetector, ThreadLane
from pipelines.read_attributes import InlineCropNetworks
from pipelines.results import DetectOptions

ONE = {"min_replicas": 1, "max_replicas": 1}
SHAPE = {
    "placement": {"decode": "ingress", "detector": "inline", "attributes": "inline"},
    "ingress": ONE,
}
PLANS = '{"default": {"requests_per_minute": 100000000, "concurrent_tasks": 1}}'
ROUNDS = 60
PEOPLE = 20


def by_hand(store: Store) -> float:
    """Return the milliseconds of a search in this process, in the middle."""
    manifest, cpu = load_manifest(), RuntimeOptions(device="cpu", threads=1)
    index = faiss.IndexFlatIP(128)
    index.add(people(1000, 128)[:PEOPLE])
    with ThreadLane(1) as lane:
        yunet = load_detector(manifest["yunet"], store.path(manifest["yunet"]), cpu)
        sface = load_embedder(manifest["sface"], store.path(manifest["sface"]), cpu)
        embedder = CropEmbedder(InlineCropNetworks([sface], lane), "sface", lane)
        analyzer = ImageAnalyzer({"it": InlineDetector(yunet, lane)}, "it", lane, embedder=embedder)

        async def search() -> float:
            begun = time.perf_counter()
            found = await analyzer.detect(portrait(), DetectOptions(embed=True))
            assert found.embedded is not None  # noqa: S101 - narrows the type: vectors were asked for
            index.search(found.embedded.vectors, 3)
            return (time.perf_counter() - begun) * 1e3

        async def rounds() -> float:
            return statistics.median([await search() for _ in range(ROUNDS)][5:])

        return asyncio.run(rounds())


def over_http(weights: Path) -> float:
    """Return the milliseconds of a search over HTTP, in the middle."""
    url = f"data:image/png;base64,{base64.b64encode(portrait()).decode()}"
    variables = {**UNLIMITED, "FACE_API_PLANS": PLANS}
    with trial_service(SHAPE, variables, weights) as service:
        head = {"X-API-Key": service.key}
        with httpx.Client(base_url=f"{service.url}/v1", headers=head, timeout=60, trust_env=False) as client:
            client.post("/library", json={"library_id": "bench"}).raise_for_status()
            for number in range(PEOPLE):
                body = {"person_id": str(number), "image_url": url}
                client.post("/library/bench/face", json=body).raise_for_status()
            taken = []
            for _ in range(ROUNDS):
                begun = time.perf_counter()
                client.post("/library/bench/search", json={"image_url": url}).raise_for_status()
                taken.append((time.perf_counter() - begun) * 1e3)
    return statistics.median(taken[5:])


def main() -> None:
    """Measure, print the table and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, default=Path(".cache/models"), help="folder of weights")
    parser.add_argument("--out", type=Path, default=Path("bench/recognition.json"))
    options = parser.parse_args()
    store = Store(options.weights)
    store.pull(*load_manifest().pack("default"))
    figures = {"HTTP ms": over_http(options.weights), "by hand ms": by_hand(store)}
    figures["ratio (at most 1.3)"] = figures["HTTP ms"] / figures["by hand ms"]
    table = Table(title="search of one face", title_justify="left", show_header=False)
    for name, value in figures.items():
        table.add_row(name, f"{value:.3g}")
    Console().print(table)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
