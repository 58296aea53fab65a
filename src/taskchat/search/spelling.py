"""What somebody may have meant by words that nothing has: words of their own that look alike."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Final

ALIKE_MIN: Final = 0.75
"""The least share of letters that two words have in common, in order: two letters that were swapped
or one that is missing leave more of a word of five."""


def corrected(words: Mapping[str, Sequence[str]]) -> str | None:
    """The words of a search, those that are misspelt replaced.

    Args:
        words: By the word that was searched for, what may be meant by it.

    Returns:
        What to search for instead; None if nothing looks alike.
    """
    instead = {
        asked: difflib.get_close_matches(asked, sorted(known), n=1, cutoff=ALIKE_MIN)
        for asked, known in words.items()
    }
    if not any(instead.values()):
        return None
    # A space at the end: the words are whole.
    return "".join(f"{found[0] if found else asked} " for asked, found in instead.items())
