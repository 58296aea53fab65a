"""Users, as the database knows them."""

from typing import Final

from taskchat.postgres.database import Database, Function
from taskchat.postgres.line import Precedence
from taskchat.principal import Principal

KNOW: Final = Function("user_know_1")


async def know(database: Database, principal: Principal) -> None:
    """Make the principal's row, if there is none: user_know_1.sql.

    Raises:
        Overloaded: too many wait for a connection.
        DatabaseError: the outcome is unknown.
    """
    await database.call(principal, KNOW, {}, Precedence.ARRIVING)
