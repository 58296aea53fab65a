"""The same schema with every user's tables in shards: hash partitions by their owner.

It is what a sharded Postgres makes of it, as far as one server can show: a statement that does not
name the owner has to look into every shard, and the counters of each shard tell who did.
"""

import re
import subprocess
from collections import Counter
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from taskchat.postgres.embedded.programs import install_folder

SHARDS: Final = 4

_TABLE: Final = re.compile(r"CREATE TABLE public\.(\w+) \((.*?)\n\);", re.DOTALL)
_SECURITY: Final = re.compile(r"ALTER TABLE .* (ENABLE|FORCE) ROW LEVEL SECURITY;")

UNSHARDED: Final = {"accounts"}
"""Of users, and yet in one piece: an address of mail is unique among all."""


def sharded(url: str) -> str:
    """The schema of a database as a script that makes it anew, in shards."""
    dump = subprocess.run(
        [
            str(install_folder() / "bin" / "pg_dump"),
            "--schema-only",
            "--restrict-key=none",
            f"--dbname={url}",
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    script = "".join(line for line in dump.splitlines(True) if not line.startswith("\\"))
    # Policies name the owner, too; what is to be seen is whether the statements do.
    script = _SECURITY.sub("", script)
    # What is made of a table counts for its shards, too.
    return _TABLE.sub(_in_shards, script).replace("ALTER TABLE ONLY", "ALTER TABLE")


def _in_shards(made: re.Match[str]) -> str:
    table, columns = made.groups()
    key = "id" if table == "users" else "user_id"
    if table in UNSHARDED or not re.search(rf"^ +{key} character varying", columns, re.MULTILINE):
        return made[0]
    shards = "".join(
        f"\nCREATE TABLE public.{table}_shard{n} PARTITION OF public.{table}"
        f" FOR VALUES WITH (MODULUS {SHARDS}, REMAINDER {n});"
        for n in range(SHARDS)
    )
    return f"{made[0][:-1]} PARTITION BY HASH ({key});{shards}"


async def looked_into(connection: AsyncConnection) -> Counter[str]:
    """How often each shard of each table was looked into, or written to, so far."""
    rows = await connection.execute(
        text(
            "SELECT relname, seq_scan + coalesce(idx_scan, 0) + n_tup_ins + n_tup_upd + n_tup_del"
            " AS looks"
            " FROM pg_stat_user_tables WHERE relname ~ '_shard[0-9]+$'"
        )
    )
    return Counter({row.relname: row.looks for row in rows})
