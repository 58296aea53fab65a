"""Postgres for those who bring none, from the programs of the extra `embedded`.

Whatever killed whom, at any moment: the next start finds a whole cluster or makes one. Production
has no use for it.
"""

from taskchat.embedded.cluster import start_postgres
from taskchat.embedded.ephemeral import ephemeral_data_dir
from taskchat.embedded.places import EmbeddedPostgresError

__all__ = ["EmbeddedPostgresError", "ephemeral_data_dir", "start_postgres"]
