"""The phrases for changing tasks that exist. First match wins, so the narrower come first."""

from collections.abc import Sequence

from taskchat_offline.pattern import Pattern
from taskchat_offline.phrase_words import CLASSES, Effect
from taskchat_offline.phrases_fields import DESCRIPTIONS, TITLES, UNDOING
from taskchat_offline.phrases_state import DELETIONS, REPORTS, STATES


def compiled(phrases: Sequence[tuple[Effect, str]]) -> tuple[tuple[Effect, Pattern], ...]:
    """Phrases ready to match, in the order given."""
    return tuple((effect, Pattern(phrase, CLASSES)) for effect, phrase in phrases)


CHANGES = compiled((*UNDOING, *DESCRIPTIONS, *STATES, *TITLES, *DELETIONS))
"""Requests to edit, complete or delete."""

COMPLETIONS = compiled(REPORTS)
"""Requests to complete by a bare verb, and reports of completion."""
