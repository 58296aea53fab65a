"""What an import answers."""

from pydantic import BaseModel, Field


class Brought(BaseModel):
    """What became of the lines of one type."""

    added: int = Field(0, description="Stored by this import.")
    known: int = Field(0, description="There before, from an earlier import or as they were.")

    def note(self, added: int, lines: int) -> None:
        """Count lines, of which so many were new."""
        self.added += added
        self.known += lines - added


class LeftOut(BaseModel):
    """Lines that an import does not store."""

    type: str
    lines: int
    reason: str


class ImportOut(BaseModel):
    """What became of a file."""

    lines: int
    conversations: Brought
    turns: Brought
    tasks: Brought
    left_out: list[LeftOut]
