"""`facefleet keys`: clients' keys; needs FACEFLEET_ADMIN_PASSWORD."""

from typing import Annotated

import typer

from app.commands.running import AsJson, client_of, connection_of, print_json, print_table, wrong_usage

keys_app = typer.Typer(
    name="keys",
    help="Make, list and change clients' keys. Needs FACEFLEET_ADMIN_PASSWORD.",
    no_args_is_help=True,
    add_completion=False,
)

KeyId = Annotated[str, typer.Argument(help="As `keys list` shows it.")]


@keys_app.callback()
def _as_administrator(context: typer.Context) -> None:
    if connection_of(context).admin is None and not context.resilient_parsing:
        wrong_usage("set FACEFLEET_ADMIN_PASSWORD (and FACEFLEET_ADMIN_USER, if it is not admin)")


@keys_app.command()
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Whose it is.")],
    plan: Annotated[str | None, typer.Option(help="free, starter, scale, enterprise or your own.")] = None,
    *,
    json: AsJson = False,
) -> None:
    """Make a key; it is shown this once."""
    with client_of(context) as client:
        made = client.keys.create(name, plan)
        if json:
            print_json(made)
        else:
            typer.echo(f"Id: {made.id}\nKey: {made.key}\nWebhook secret: {made.webhook_secret}")
            typer.echo("Both are shown this once; keep them.")


@keys_app.command("list")
def list_keys(context: typer.Context, page: int = 1, *, json: AsJson = False) -> None:
    """List the keys, newest first."""
    with client_of(context) as client:
        found = client.keys.list(page, 100)
        if json:
            print_json(found)
            return
        print_table(
            ["ID", "NAME", "KEY", "STATE", "PLAN", "REQUESTS", "LAST USED"],
            [
                [
                    key.id,
                    key.name,
                    key.key_preview,
                    "on" if key.is_active else "off",
                    key.plan,
                    key.request_count,
                    key.last_used_at,
                ]
                for key in found.items
            ],
            coloured="STATE",
        )
        if found.pages > page:
            typer.echo(f"{found.total} keys; --page {page + 1} shows more")


@keys_app.command()
def change(
    context: typer.Context,
    key_id: KeyId,
    name: Annotated[str | None, typer.Option(help="A new name.")] = None,
    plan: Annotated[str | None, typer.Option(help="Another plan.")] = None,
    *,
    on: Annotated[bool | None, typer.Option("--on/--off", help="Let it open doors, or not.")] = None,
    json: AsJson = False,
) -> None:
    """Rename a key, give it another plan, turn it off or on."""
    with client_of(context) as client:
        changed = client.keys.change(key_id, name=name, is_active=on, plan=plan)
        state = "on" if changed.is_active else "off"
        print_json(changed) if json else typer.echo(f"{changed.id} {changed.name}: {state}, {changed.plan}")


@keys_app.command()
def delete(context: typer.Context, key_id: KeyId) -> None:
    """Remove a key; what was done with it stays."""
    with client_of(context) as client:
        client.keys.delete(key_id)
        typer.echo(f"{key_id} removed")


@keys_app.command("webhook-secret")
def webhook_secret(context: typer.Context, key_id: KeyId, *, json: AsJson = False) -> None:
    """Make a new secret for a key's webhooks; the one before stays valid for a day."""
    with client_of(context) as client:
        made = client.keys.rotate_webhook_secret(key_id)
        print_json(made) if json else typer.echo(made.webhook_secret)
