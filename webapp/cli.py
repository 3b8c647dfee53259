"""Commands for operators: `python -m webapp.cli --help` (flask's own, such as `db` and `routes`, are there too)."""

import json
from typing import Any

import click
from flask import current_app
from flask.cli import FlaskGroup
from flask_migrate import upgrade

from webapp import clock
from webapp.accounts import users
from webapp.app import create_app
from webapp.db import db, transaction
from webapp.errors import Invalid
from webapp.local import ready
from webapp.settings import Settings, SettingsError, documentation


def _app() -> Any:
    try:
        return create_app()
    except SettingsError as problem:
        raise click.ClickException(str(problem)) from None


@click.group(cls=FlaskGroup, create_app=_app)
def main() -> None:
    """Sendoff's commands."""


@main.command("prepare-machine")
def prepare_machine() -> None:
    """Bring the database up to date and load what a first run needs; tells what there is as one JSON object."""
    settings: Settings = current_app.extensions["settings"]
    upgrade()
    with transaction():
        ready.relays(settings, at=clock.now())
        ready.mailbox(settings, at=clock.now())
    with transaction():
        told = ready.demo(at=clock.now()) if settings.demo else {}
    click.echo(json.dumps({**told, "users": ready.users()}))
    db.session.remove()


@main.command("settings")
def settings_table() -> None:
    """Show every setting, its default and what it does, as the table of docs/operations.md."""
    click.echo(documentation())


@main.command("create-admin")
@click.option("--name", prompt="Name")
@click.option("--email", prompt="E-mail address")
@click.password_option("--password", help="At least ten characters; asked for when not given.")
def create_admin(name: str, email: str, password: str) -> None:
    """Make an administrator."""
    new = users.NewUser(email=email, name=name, role="Administrator", password=password)
    try:
        with transaction():
            users.create(new, by=None, at=clock.now())
    except Invalid as problem:
        raise click.ClickException(str(problem.message)) from None
    click.echo(f"{email} can sign in now.")


if __name__ == "__main__":
    main()
