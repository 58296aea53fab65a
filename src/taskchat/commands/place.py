"""What `taskchat dev` serves from: a database and a secret, made where none are configured.

Imports nothing of the service, so that both are made while the service is still being imported.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path

import click

from taskchat.commands.local import DEV_USER, local_secret, made_secret
from taskchat.postgres.embedded import start_postgres
from taskchat.refusals import BadConfiguration
from taskchat.settings import Settings
from taskchat.settings.loading import load_settings


@dataclass(frozen=True, slots=True)
class Place:
    """Where a developer's service finds its things.

    Attributes:
        settings: The configuration, with what was missing from it.
        database_url: Of the database that is used.
        secret: Signs tokens; None if they come from an identity provider.
        accounts_asked: Whether the configuration says that there are accounts, or that there are
            none; else there are if the database allows it.
    """

    settings: Settings
    database_url: str
    secret: str | None = field(repr=False)
    accounts_asked: bool


def make_place(settings: Settings, data_dir: Path) -> Place:
    """Make what the configuration lacks.

    Args:
        settings: As they are configured.
        data_dir: Where the database and the secret are kept.

    Raises:
        LocalSecretError: the kept secret can't be used.
        EmbeddedPostgresError: there is no database, and none can be started.
        OSError: the folder can't be read or written.
    """
    secret = local_secret(settings, data_dir)
    if secret is None and settings.jwt_jwks_url is None:
        secret = made_secret(settings, data_dir)
    if settings.database_url is None:
        click.echo("Starting the embedded Postgres …", err=True)
        database_url = start_postgres(data_dir)
    else:
        database_url = settings.database_url.get_secret_value()
    # Through the environment, because a reloading server imports the app in another process.
    os.environ["DATABASE_URL"] = database_url
    if "offline_header" not in settings.model_fields_set:
        os.environ["TASKCHAT_OFFLINE_HEADER"] = "true"
    if "script_allowed" not in settings.model_fields_set:
        os.environ["TASKCHAT_SCRIPT_ALLOWED"] = "true"
    if secret is not None:
        os.environ["TASKCHAT_JWT_SECRET"] = secret
        if "page_user" not in settings.model_fields_set:
            os.environ["TASKCHAT_PAGE_USER"] = DEV_USER
    accounts_asked = "accounts" in settings.model_fields_set
    completed = load_settings() if accounts_asked else _with_accounts()
    return Place(completed, database_url, secret, accounts_asked)


def _with_accounts() -> Settings:
    """The settings with accounts, unless something in the configuration rules them out."""
    os.environ["TASKCHAT_ACCOUNTS"] = "true"
    try:
        return load_settings()
    except BadConfiguration as error:
        return without_accounts(str(error))


def without_accounts(why: str) -> Settings:
    """The settings without accounts, for which nobody has asked."""
    click.echo(f"Serving without accounts: {why}.", err=True)
    os.environ["TASKCHAT_ACCOUNTS"] = "false"
    return load_settings()
