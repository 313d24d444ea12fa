"""`facefleet detect` and `facefleet mask`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.running import AsJson, client_of, print_json, print_table, wrong_usage

if TYPE_CHECKING:
    from app.client.picture_calls import MaskFields
    from app.client.results import DetectResult

Pictures = Annotated[list[Path], typer.Argument(help="Pictures: jpg, png, webp, bmp, heic.")]
Confidence = Annotated[float | None, typer.Option(min=0, max=1, help="What is less certain is left out.")]


def detect(
    context: typer.Context,
    pictures: Pictures,
    confidence: Confidence = None,
    max_faces: Annotated[int | None, typer.Option(min=0, help="At most this many; 0 for all.")] = None,
    model: Annotated[str | None, typer.Option(help="One of the detectors that are loaded.")] = None,
    attributes: Annotated[str, typer.Option(help="age,gender,emotion,pose,glasses,mask,quality")] = "",
    *,
    json: AsJson = False,
) -> None:
    """Find the faces in pictures; with --json, one object a line for each picture."""
    names = [name.strip() for name in attributes.split(",") if name.strip()]
    with client_of(context) as client:
        for picture in pictures:
            found = client.detect(
                picture, confidence=confidence, max_faces=max_faces, model=model, attributes=names
            )
            if json:
                print_json({"file": str(picture), "result": found})
            else:
                _show(picture, found, names)


def mask(  # noqa: PLR0913, PLR0917 - each is an option
    context: typer.Context,
    pictures: Pictures,
    out: Annotated[Path, typer.Option("--out", "-o", help="A file, or a folder where there are several.")],
    method: Annotated[str, typer.Option(help="gaussian, pixelate, solid or elliptical")] = "gaussian",
    strength: Annotated[int | None, typer.Option(min=1, help="Blur or block size.")] = None,
    padding: Annotated[float | None, typer.Option(min=0, help="How far boxes grow.")] = None,
    picture_format: Annotated[str, typer.Option("--format", help="jpeg, png or webp")] = "jpeg",
    quality: Annotated[int | None, typer.Option(min=1, max=100)] = None,
    confidence: Confidence = None,
    *,
    json: AsJson = False,
) -> None:
    """Make the faces in pictures unrecognisable."""
    into_folder = out.is_dir() or len(pictures) > 1
    if into_folder and out.exists() and not out.is_dir():
        wrong_usage(f"{out} is a file; several pictures need a folder")
    fields: MaskFields = {"method": method, "format": picture_format}
    if strength is not None:
        fields["strength"] = strength
    if padding is not None:
        fields["padding"] = padding
    if quality is not None:
        fields["quality"] = quality
    if confidence is not None:
        fields["confidence"] = confidence
    with client_of(context) as client:
        if into_folder:
            out.mkdir(parents=True, exist_ok=True)
        for picture in pictures:
            masked = client.mask(picture, **fields)
            target = out / f"{picture.stem}.{masked.format.replace('jpeg', 'jpg')}" if into_folder else out
            unfinished = target.with_name(f"{target.name}.part")
            unfinished.write_bytes(masked.data)
            unfinished.replace(target)
            if json:
                print_json({"file": str(picture), "out": str(target), "faces": masked.face_count})
            else:
                typer.echo(f"{picture}: {masked.face_count} faces hidden, {target}")


def _show(picture: Path, found: "DetectResult", attributes: list[str]) -> None:
    typer.echo(f"{picture}: {found.summary.face_count} faces, {found.image.width}x{found.image.height}")
    names = [name for name in attributes if name not in {"landmarks", "pose"}]
    if found.detections:
        print_table(
            ["FACE", "CONFIDENCE", "X1", "Y1", "X2", "Y2", *map(str.upper, names)],
            [
                [
                    face.index,
                    f"{face.confidence:.3f}",
                    *(f"{edge:.0f}" for edge in (face.bbox.x1, face.bbox.y1, face.bbox.x2, face.bbox.y2)),
                    *(getattr(face.attributes, name, None) for name in names),
                ]
                for face in found.detections
            ],
        )
