"""`facefleet library`: people whom the service shall recognise."""

from typing import Annotated

import typer

from app.commands.importing import import_people
from app.commands.running import AsJson, client_of, print_json, print_table
from app.commands.sending import address_of

libraries_app = typer.Typer(
    name="library",
    help="Keep libraries of faces and search in them.",
    no_args_is_help=True,
    add_completion=False,
)

libraries_app.command("import")(import_people)

LibraryId = Annotated[str, typer.Argument(help="A library.")]
PersonId = Annotated[str, typer.Argument(help="Somebody in it.")]
Everywhere = Annotated[bool, typer.Option("--everywhere", help="Out of stored results as well.")]
Picture = Annotated[str, typer.Argument(help="A file, or an address.")]


@libraries_app.command()
def create(
    context: typer.Context,
    library_id: LibraryId,
    name: Annotated[str | None, typer.Option()] = None,
    description: Annotated[str | None, typer.Option()] = None,
    *,
    json: AsJson = False,
) -> None:
    """Make an empty library."""
    with client_of(context) as client:
        made = client.libraries.create(library_id, name or library_id, description)
        print_json(made) if json else typer.echo(f"{made.library_id} made")


@libraries_app.command("list")
def list_libraries(context: typer.Context, *, json: AsJson = False) -> None:
    """List your libraries."""
    with client_of(context) as client:
        found = client.libraries.list().libraries
        if json:
            print_json(found)
        else:
            print_table(
                ["LIBRARY", "NAME", "DESCRIPTION"], [[x.library_id, x.name, x.description] for x in found]
            )


@libraries_app.command()
def show(context: typer.Context, library_id: LibraryId, *, json: AsJson = False) -> None:
    """List the people of a library."""
    with client_of(context) as client:
        library, found = client.libraries.get(library_id), client.libraries.persons(library_id)
        if json:
            print_json({"library": library, "persons": found.persons, "next_cursor": found.next_cursor})
        else:
            print_table(
                ["PERSON", "NAME", "FACES"], [[x.person_id, x.name, x.face_count] for x in found.persons]
            )


@libraries_app.command()
def enroll(
    context: typer.Context,
    library_id: LibraryId,
    person_id: PersonId,
    picture: Picture,
    name: Annotated[str | None, typer.Option(help="Shown with matches.")] = None,
    *,
    json: AsJson = False,
) -> None:
    """Take a picture with exactly one clear face into a library."""
    with client_of(context) as client:
        made = client.libraries.enroll(library_id, person_id, address_of(client, picture), name=name)
        print_json(made) if json else typer.echo(made.face_id)


@libraries_app.command()
def search(
    context: typer.Context,
    library_id: LibraryId,
    picture: Picture,
    top_k: Annotated[int, typer.Option(min=1, max=10, help="Matches for each face.")] = 1,
    *,
    json: AsJson = False,
) -> None:
    """Look for every face of a picture in a library."""
    with client_of(context) as client:
        found = client.libraries.search(library_id, address_of(client, picture), top_k=top_k)
        if json:
            print_json(found)
            return
        print_table(
            ["FACE", "BOX", "PERSON", "NAME", "SCORE"],
            [
                [number, " ".join(map(str, face.bbox)), match.person_id, match.name, f"{match.score:.3f}"]
                for number, face in enumerate(found.faces)
                for match in face.matches
            ],
        )


@libraries_app.command("remove-person")
def remove_person(
    context: typer.Context, library_id: LibraryId, person_id: PersonId, *, everywhere: Everywhere = False
) -> None:
    """Remove somebody with all faces."""
    with client_of(context) as client:
        client.libraries.delete_person(library_id, person_id, everywhere=everywhere)
        typer.echo(f"{person_id} removed from {library_id}")


@libraries_app.command("remove-face")
def remove_face(context: typer.Context, library_id: LibraryId, face_id: str) -> None:
    """Remove one face."""
    with client_of(context) as client:
        client.libraries.delete_face(library_id, face_id)
        typer.echo(f"{face_id} removed from {library_id}")


@libraries_app.command()
def delete(context: typer.Context, library_id: LibraryId, *, everywhere: Everywhere = False) -> None:
    """Remove a library with everybody in it."""
    with client_of(context) as client:
        client.libraries.delete(library_id, everywhere=everywhere)
        typer.echo(f"{library_id} removed")


def compare(context: typer.Context, source: Picture, target: Picture, *, json: AsJson = False) -> None:
    """Tell whether the largest faces of two pictures are of one person: exit code 0 if so, 1 if not."""
    with client_of(context) as client:
        found = client.compare(address_of(client, source), address_of(client, target))
        words = "the same person" if found.is_same_person else "not the same person"
        print_json(found) if json else typer.echo(f"{words}: {found.score:.3f} of {found.threshold:.2f}")
        raise typer.Exit(0 if found.is_same_person else 1)
