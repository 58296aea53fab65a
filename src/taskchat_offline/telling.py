"""Reports and duties held against the list: which task was done, which is there already."""

from collections.abc import Sequence

from taskchat_offline.lexicon import LIGHT, PAST, TASK_VERBS, word_set
from taskchat_offline.likeness import WORDS_MAX, alike, content, plain, share_held
from taskchat_offline.matching import FIT_MIN, TASKS_FUZZY_MAX, Task
from taskchat_offline.normalise import stem, tokens_of

ACHIEVED = word_set(
    "did done made got bought paid collected finished completed had took taken attended handed "
    "picked fetched ordered booked sorted wrote written submitted passed sat went been"
)
"""What people did with a task whose title names no deed: "Physics homework", "Haircut"."""

STRANGE_MAX = 0.5
"""Share of a report that its task's title must exceed when it leaves a part of the title out."""

_DEEDS = frozenset(stem(verb) for verb in TASK_VERBS)


_HABITS = ("for years", "for ages", "for decades", "for months", "for weeks", "every day",
           "every week", "every year", "every month", "all the time", "in my dream", "in a dream",
           "in the film", "in a film", "last year", "years ago")  # fmt: skip
_HABITUAL = word_set("badly wrongly poorly always usually often sometimes rarely normally wrong")
_ELSEWHERE = word_set("house place home flat office garden company school shop kitchen room")


def qualified(said: str) -> bool:
    """Whether a report tells of a habit, a failure or another's things: "fitted badly at Al's"."""
    keys = [token.key for token in tokens_of(said)][: 2 * WORDS_MAX]
    phrase = f" {' '.join(keys)} "
    if set(keys) & _HABITUAL or any(f" {habit} " in phrase for habit in _HABITS):
        return True
    return any(
        key.endswith("'s") and key not in {"it's", "that's"} and keys[place - 1] in _POSSESSED
        and keys[place + 1 : place + 2] and keys[place + 1] in _ELSEWHERE
        for place, key in enumerate(keys)
    )  # fmt: skip


_POSSESSED = word_set("my at in friend's the his her their our a")


def same_deed(said: str, tasks: Sequence[Task]) -> list[Task]:
    """Tasks whose titles hold nearly all of the said words and little else."""
    words = content(said)
    return [
        task
        for task in tasks
        if task.plain == plain(said)
        or min(
            share_held(words, task.words, fuzzy=False), share_held(task.words, words, fuzzy=False)
        )
        >= 0.8
    ]


def told_done(said: str, tasks: Sequence[Task]) -> list[Task]:
    """Tasks that a statement in the past ("I paid the rent") reports as done.

    The verb must be the title's own and something else must fit too: "I bought a car" is no
    news about "Wash the car".
    """
    words = [token.key for token in tokens_of(said) if token.kind == "word"][:WORDS_MAX]
    verbs = {stem(w) for w in words if w in PAST or w.endswith("ed")}
    verbs -= {stem(w) for w in ("had", "have", "been", "was", "were", "is", "are")}
    heard = list(dict.fromkeys([*content(said), *sorted(verbs)]))
    fuzzy = len(tasks) <= TASKS_FUZZY_MAX
    achieved = bool(set(words) & ACHIEVED)
    found: list[tuple[float, Task]] = []
    for task in tasks:
        title = task.words
        covered = share_held(title, heard, fuzzy=fuzzy)
        own = any(alike(verb, word, fuzzy=False) for verb in verbs for word in title)
        others = [word for word in title if word not in verbs and word not in LIGHT]
        shared = any(alike(word, h, fuzzy=fuzzy) for word in others for h in heard)
        noun = achieved and title[:1] and title[0] not in _DEEDS
        # "I sent Kramer a card" says too much else to be about "Send the invoice to Kramer".
        about = covered >= 0.9 or share_held(heard, title, fuzzy=fuzzy) > STRANGE_MAX
        if (own and shared and about and covered >= FIT_MIN - 0.1) or (
            (own or noun) and covered >= 0.99
        ):
            found.append((covered + share_held(heard, title, fuzzy=fuzzy), task))
    top = max((score for score, _ in found), default=0.0)
    return [task for score, task in found if score >= top - 0.01]
