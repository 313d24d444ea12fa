"""The shape of the service: what `serve_config.yaml` says under `args`.

Addresses and secrets come from the environment (`app.settings`); nothing stands in both places.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from pipelines.video.plan import CHUNK_WORK_S

if TYPE_CHECKING:
    from collections.abc import Sequence

#: What a detector's pool is called: this and the network's name.
POOL_PREFIX = "detector-"


class _Args(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ReplicaArgs(_Args):
    """How many replicas of a deployment there are and what each reserves."""

    min_replicas: int = Field(default=1, ge=0, description="Replicas kept when idle.")
    max_replicas: int = Field(default=1, ge=1, description="Replicas under full load.")
    target_ongoing_requests: float = Field(
        default=4.0,
        gt=0,
        description="Requests in work per replica that the autoscaler aims at; of `tasks` those tasks that "
        "wait or run.",
    )
    num_cpus: float = Field(default=0.1, ge=0, description="Cores that Ray sets aside for each replica.")
    num_gpus: float | None = Field(
        default=None,
        ge=0,
        description="GPU share that Ray sets aside for each replica; unset, replicas that run networks get "
        "an equal share of one GPU where the cluster has any. A replica without a share sees no GPU.",
    )
    max_per_node: int | None = Field(
        default=None, ge=1, description="Replicas on one machine at most; as many as fit if unset."
    )
    max_waiting: int = Field(
        default=64, ge=1, description="Requests that may wait at a replica; more are answered 503."
    )


class DetectorArgs(ReplicaArgs):
    """A pool of networks; the batch sizes matter only there, inline networks see one picture at a time."""

    max_batch_size: int = Field(
        default=1, ge=1, description="Pictures whose canvases or crops run together; 1 on a CPU."
    )
    batch_wait_timeout_s: float = Field(default=0.0, ge=0, description="How long a batch waits to fill.")


class ChunkArgs(_Args):
    """Work on videos, chunk by chunk, each a Ray task of its own."""

    num_cpus: float = Field(default=0.1, ge=0, description="Cores that Ray sets aside for each chunk.")
    num_gpus: float = Field(default=0.0, ge=0, description="GPU share that Ray sets aside for each chunk.")
    at_once: int | None = Field(
        default=None, ge=1, description="Chunks in work at once; unset, one for each core that can be used."
    )
    work_s: float = Field(
        default=CHUNK_WORK_S, gt=0, description="Seconds of one core's work that are cut off as a chunk."
    )
    shared_scratch: bool = Field(
        default=False,
        description="All machines see the same scratch folder, so that chunks of one video may go to any; "
        "else they stay on the machine that fetched it.",
    )


class Placement(_Args):
    """Where the stages of a picture live; `auto` picks by whether the cluster has GPUs.

    Attributes:
        decode: `ingress` decodes in the replica that took the request, `stage` in replicas of its own.
        detector: `inline` runs the network where pictures are decoded, `pool` in replicas of its own.
        attributes: the same for the networks that tell what faces show.
    """

    decode: Literal["auto", "ingress", "stage"] = "auto"
    detector: Literal["auto", "inline", "pool"] = "auto"
    attributes: Literal["auto", "inline", "pool"] = "auto"

    def resolved(self, *, has_gpu: bool) -> Placement:
        """Return the placement with every `auto` decided."""
        decode = self.decode if self.decode != "auto" else ("stage" if has_gpu else "ingress")
        detector = self.detector if self.detector != "auto" else ("pool" if has_gpu else "inline")
        attributes = self.attributes if self.attributes != "auto" else ("pool" if has_gpu else "inline")
        return Placement(decode=decode, detector=detector, attributes=attributes)


def with_gpu_share(replicas: ReplicaArgs, *, runs_networks: bool) -> ReplicaArgs:
    """Return the replicas with their share of a GPU decided, for a cluster that has GPUs.

    Ray hides every GPU from a replica that reserves none of it, and a network that may choose its device
    would then run on the CPU without a word.
    """
    if replicas.num_gpus is not None or not runs_networks:
        return replicas
    return replicas.model_copy(update={"num_gpus": round(1 / replicas.max_replicas, 4)})


class AppArgs(_Args):
    """Everything `deployments.application.build` needs."""

    detectors: tuple[str, ...] = Field(
        default=("yunet",), min_length=1, description="Networks to load, the default one first."
    )
    device: Literal["auto", "cpu", "cuda", "tensorrt"] = "auto"
    threads: int = Field(default=1, ge=1, description="ONNX Runtime threads of each replica.")
    gpu_mem_limit_mb: int | None = Field(default=None, ge=64, description="GPU memory cap of each session.")
    small_side: int = Field(
        default=128, ge=0, description="Longer side of the second, small look at each picture; 0 for none."
    )
    square: bool = Field(
        default=False, description="Feed the whole input square instead of the picture's rectangle."
    )
    attribute_networks: tuple[str, ...] = Field(
        default=("facemesh", "age", "gender", "emotion", "glasses", "mask"),
        description="Networks that tell what faces show; of two that tell the same the first is asked.",
    )
    embedding_network: str | None = Field(
        default="sface",
        description="Network that people are recognised by; it runs where those for attributes do. None for "
        "a service that recognises nobody.",
    )
    embedding_flip: bool = Field(
        default=False,
        description="Recognise by the mean of a face and its mirror image: a little better, twice the time.",
    )
    draining: bool = Field(
        default=False,
        description="Take no new work: requests for it are answered 503, and tasks stay in the queue.",
    )
    leaving: tuple[str, ...] = Field(
        default=(),
        description="Deployments of the shape before this one that stay, because replicas of that shape "
        "still call them; a second change without this takes them away.",
    )
    placement: Placement = Placement()
    ingress: ReplicaArgs = ReplicaArgs()
    tasks: ReplicaArgs = ReplicaArgs()
    chunks: ChunkArgs = ChunkArgs()
    stage: ReplicaArgs = ReplicaArgs()
    detector: DetectorArgs = DetectorArgs()
    attributes: DetectorArgs = DetectorArgs()

    def behind_ingress(self) -> tuple[str, ...]:
        """Name the deployments that the ingress calls; the placement must be decided."""
        detectors = [f"{POOL_PREFIX}{name}" for name in self.detectors]
        return (
            *(["stage"] if self.placement.decode == "stage" else []),
            *(["attributes"] if self.placement.attributes == "pool" else []),
            *(detectors if self.placement.detector == "pool" else []),
        )

    def before(self, leaving: Sequence[str]) -> AppArgs:
        """Return a shape that has these deployments too; this one's placement must be decided."""
        gone = [name.removeprefix(POOL_PREFIX) for name in leaving if name.startswith(POOL_PREFIX)]
        stay = () if gone and self.placement.detector == "inline" else self.detectors
        placement = Placement(
            decode="stage" if "stage" in leaving else self.placement.decode,
            detector="pool" if gone else self.placement.detector,
            attributes="pool" if "attributes" in leaving else self.placement.attributes,
        )
        return self.model_copy(update={"placement": placement, "detectors": (*stay, *gone)})
