"""One part of a title exchanged for another, where only the wrong part was named."""

import re

from taskchat_offline.likeness import fit


def exchanged(title: str, old: str, new: str) -> str:
    """The title with `new` for `old`.

    Args:
        title: The title as it is.
        old: The wrong words: the whole title, or a part of it.
        new: The right ones, perhaps with words that the title has anyway: "20 chairs" for "12".

    Returns:
        `new` itself when `old` names all of the title.
    """
    place = title.casefold().find(old.casefold())
    if place < 0 or fit(title, old) >= 0.8:
        return new
    before, after = title[:place], title[place + len(old) :]
    words = new.split()
    ahead, behind = before.casefold().split(), after.casefold().split()
    for size in range(min(len(words) - 1, len(behind)), 0, -1):
        if [word.casefold() for word in words[-size:]] == behind[:size]:
            words = words[:-size]
            break
    while len(words) > 1 and ahead and words[0].casefold() in ahead:
        words.pop(0)
    return f"{before}{' '.join(words)}{after}"


def names_part(title: str, old: str, new: str) -> bool:
    """Whether "change Acton to Ealing" names a proper part of the title: a name or a number."""
    place = title.find(old)
    if place <= 0 or not title[place - 1].isspace() or title[place + len(old) :][:1].isalnum():
        return False
    return all(
        word[0].isupper() or word[0].isdecimal() for word in (*old.split(), *new.split())
    ) and (
        old.replace(" ", "").isdecimal() == new.replace(" ", "").isdecimal()
        and len(new.split()) <= len(old.split()) + 1
    )


def with_number(title: str, number: str) -> str:
    """The title with its only number exchanged ("change the meeting to 10"), or nothing."""
    found = re.findall(r"\b\d{1,6}\b", title)
    return re.sub(r"\b\d{1,6}\b", number, title) if len(found) == 1 else ""
