"""The words before a request: "hey, could you please", "if it's no bother", "I want to"."""

from collections.abc import Sequence

from taskchat_offline.lexicon import (
    ADD,
    CHANGE,
    COMPLETE,
    DELETE,
    FILLERS,
    LIST_VERBS,
    PUT,
    word_set,
)
from taskchat_offline.normalise import Token
from taskchat_offline.openings import opens_request
from taskchat_offline.trimming import is_punctuation

_LEADS = tuple(
    tuple(frozenset(word.split("|")) for word in lead.split())
    for lead in (
        "i'd appreciate it if you could|would",
        "it would be great|nice|good if you could|would",
        "it'd be great|nice|good if you could|would",
        "is it possible for you to",
        "would|do you mind",
        "can|could|would|will|won't|can't you",
        "i'd like|love you to",
        "i would like|love you to",
        "i want|need you to",
        "i think you can|should|could",
        "you can|could|may|should|might",
        "you need to",
        "be so kind as to",
        "do me a favor|favour",
        "go ahead and",
        "go ahead",
        "feel free to",
        "make sure to",
        "let's",
        "let us",
        "let me",
        "help me to",
        "help me",
        "when|whenever you get|have a chance|moment|minute|sec|second",
        "when|whenever you can",
        "if you can|could|don't|wouldn't|would mind",
        "if you can|could|please|would",
        "if possible",
        "if it's not too much trouble",
        "thank you",
        "good morning|afternoon|evening|day",
        "hey|hi|hello there",
        "in that case",
        "for me",
        "by the way",
        "one more thing",
        "as well",
        "after that",
        "at the same time",
        "no problem",
        "got it",
        "all right",
        "of course",
        "i mean|meant",
        "wrong one",
        "hang|hold on",
        "wait no",
        "my mistake|bad",
        "on second thoughts|thought",
        "no wait",
        "wait",
        "you can take it that",
        "it turns out that",
        "it turns out",
        "turns out that",
        "turns out",
        "guess what",
        "i can confirm|report that",
        "i'd say that",
        "i'd say",
        "it looks|seems like|that",
        "looks|seems like",
        "for the record",
        "just letting you know that",
        "just letting you know",
        "i wanted to let you know that",
        "you should know that",
        "please be aware that",
        "i'm happy|pleased|glad|proud to report|say|announce|confirm that",
        "i'm happy|pleased|glad|proud to report|say|announce|confirm",
        "happy|pleased|glad to report|say that",
        "happy|pleased|glad to report|say",
        "just so you know",
        "for your information",
        "fyi",
        "it's time to",
        "time to",
        "i think|guess|suppose we|i can|should|could|may",
        "btw",
        "good|great news",
        "heads up",
    )
)
_SOFT_LEADS = tuple(
    tuple(frozenset(word.split("|")) for word in lead.split())
    for lead in (
        "i should|must really",
        "i'd like|love to",
        "i would like|love to",
        "i want|need|wish|have to",
        "i wanna|gotta|want",
        "need|want|have|got to",
        "we need|want|have to",
        "can|could|may i|we",
        "i'm going to",
        "is it possible to",
        "i should|must|can",
        "i really should|must",
        "i really need|want|have to",
        "i also need|want|have to",
        "how|what about you|we",
        "how|what about",
        "why don't you|we",
        "why not",
        "i'd rather you",
        "mind",
    )
)
_POLITENESS = word_set(
    "i i'd i'll i'm you you'd you'll would could can will please kindly if it's it is that's that "
    "isn't too no bother trouble hassle problem much like love want wish need to possible mind so "
    "be as good kind a an the favour favor do me and chance any wonder wondering hoping was am "
    "thinking grateful appreciate great nice lovely maybe perhaps might may ask asking moment "
    "second minute time when whenever free get got sec have dear star best sort for of just "
    "really possibly able not burden imposition troubling think needful way there's hope must "
    "gonna going help useful handy you've i've wonderful fantastic brilliant helpful "
    "convenient ready us"
)
_GERUNDS = word_set(
    "adding deleting removing renaming ticking marking completing putting changing updating noting "
    "erasing jotting setting"
)
_TRIGGERS = word_set(
    "you you'd you've please kindly bother trouble favour favor possible grateful "
    "appreciate star dear "
    "needful burden imposition troubling convenient hassle"
)
_ORDERS = (
    ADD | COMPLETE | LIST_VERBS | PUT | DELETE | CHANGE | {"mark", "tick", "remind", "note", "jot"}
) - word_set(
    "need want have get place find look know see hear fetch give call make set turn kill do run "
    "print clear switch fix move help pop store enter write check bring open read save push"
)
"""Verbs that cannot but be meant for the assistant after "would you be so kind as to"."""

POLITENESS_WORDS_MAX = 14
"""Longer courtesies are sentences of their own."""


def _politeness(tokens: Sequence[Token], start: int) -> int:
    """How many words of courtesy addressed to the assistant come before its order, or 0."""
    triggered = False
    for place in range(start, min(len(tokens) - 1, start + POLITENESS_WORDS_MAX)):
        token = tokens[place]
        if token.key in _ORDERS and place > start:
            before = tokens[place - 1].key
            asked = triggered and before not in {"i", "i'd", "if", "a", "the", "no", "any", "for"}
            ordered = token.key not in CHANGE | PUT or opens_request(tokens[place:])
            supposed = [t.key for t in tokens[start:place]] in (["if", "you"], ["when", "you"])
            return place - start if asked and (ordered or before == "to") and not supposed else 0
        if token.key not in _POLITENESS and not (token.kind == "mark" and token.key == ","):
            return 0
        if token.key == "not" and tokens[place + 1].key not in {"too", "a", "much"}:
            return 0
        triggered = triggered or token.key in _TRIGGERS
    return 0


def _lead(tokens: Sequence[Token], start: int, leads: Sequence[tuple[frozenset[str], ...]]) -> int:
    for lead in leads:
        window = tokens[start : start + len(lead)]
        if len(window) == len(lead) and all(
            token.key in words for token, words in zip(window, lead, strict=True)
        ):
            return len(lead)
    return 0


def after_leads(tokens: Sequence[Token], start: int) -> tuple[int, bool, bool]:
    """Where the clause proper begins, whether a request led to it, whether "and" did."""
    place = start
    led = joined = False
    while place < len(tokens):
        key = tokens[place].key
        if key == "don't" or [t.key for t in tokens[place : place + 2]] == ["do", "not"]:
            break
        if (size := _lead(tokens, place, _LEADS)) or (
            (size := _lead(tokens, place, _SOFT_LEADS))
            and (
                opens_request(tokens[place + size :])
                or (place + size < len(tokens) and tokens[place + size].key in _GERUNDS)
            )
        ):
            led = True
            place += size
        elif key in {"first", "second", "third"} and place + 1 < len(tokens) and (
            tokens[place + 1].key in ADD or opens_request(tokens[place + 1 :])
        ):  # fmt: skip
            place += 1
        elif size := _politeness(tokens, place):
            led = True
            place += size
        elif tokens[place].kind == "mark" and is_punctuation(tokens[place]) and key not in "#@":
            place += 1
        elif key in FILLERS and not (key == "next" and place + 1 == len(tokens)):
            led = led or key in {"please", "pls", "plz", "kindly"}
            joined = joined or key in {"and", "also", "plus"}
            place += 1
        else:
            break
    return place, led, joined
