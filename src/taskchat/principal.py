"""The verified caller. Nothing below the routes ever sees a user id from anywhere else."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Principal:
    """Who acts.

    Attributes:
        user_id: The verified token's `sub`, 1 to 255 characters.
    """

    user_id: str
