"""One clause at a time: a request, a report, a remark. The order of the trials is the grammar."""

from collections.abc import Sequence
from dataclasses import replace

from taskchat_offline.adding import adds_of, announced, duty_of, forgotten, linked, made, placed
from taskchat_offline.clauses import Clause
from taskchat_offline.editing import Reading, first_reading
from taskchat_offline.intents import Add, Ask, Change, Edit, Offer, Reference, Say
from taskchat_offline.lexicon import (
    ADD,
    CHANGE,
    COMPLETE,
    DELETE,
    DONE,
    FILLERS,
    LISTS,
    PARTICIPLES,
    PAST,
    PRONOUNS,
    PUT,
    QUESTION_WORDS,
    TASK_VERBS,
    word_set,
)
from taskchat_offline.normalise import Token, text_of
from taskchat_offline.phrases import CHANGES, COMPLETIONS
from taskchat_offline.questions import gist_of, question_of
from taskchat_offline.references import reference_of
from taskchat_offline.reports import PASSIVE, ends_done, of_others, passive, unfinished
from taskchat_offline.trimming import trimmed

TITLE_CHARS_MAX = 200
"""The longest title a task can have; the rest of a longer wish becomes its description."""


_REPORTERS = word_set(
    "says said told tells asked asks thinks thought wants wanted claims reckons hopes "
    "hoped wish wishes heard suggested recommends believe mentioned"
)


_ORDERS = word_set("change update edit replace mark cancel")
_UNWANTED = (
    "i don't want", "you don't need", "you don't have", "i wouldn't want", "i didn't ask",
    "no need to",
)  # fmt: skip


def read_clause(clause: Clause, *, has_more: bool) -> Reading:
    """The intents of a clause. The narrower readings are tried first."""
    text, tokens = clause.text, clause.tokens
    keys = [token.key for token in tokens]
    if clause.hypothetical:
        return _conditional(clause)
    if clause.headed:
        return _added(text, tokens, announced(text, tokens, clause.headed))
    if (kept := _kept(clause)) is not None:
        return kept
    question = question_of(clause)
    if question is not None:
        named = question.target if isinstance(question, Ask) else None
        context = "" if named else _spoken(text, tokens)
        return Reading((question,), named=named, context=context)
    if _wonders(keys):
        return Reading((Say("noted"),), context=text_of(text, tokens))
    if any(key in _REPORTERS for key in keys[:8]) and not clause.led:
        opening = adds_of(text, tokens) if keys[0] in ADD | {"remind", "remember", "note"} else None
        if not opening and keys[0] not in DELETE | CHANGE | {"mark", "tick"}:
            return Reading((Say("noted"),), context=text_of(text, tokens))
    if keys[0] in DELETE | CHANGE | ADD | {"mark"} and ends_done(keys):
        reported = first_reading(clause, COMPLETIONS)
        if reported is not None:
            return reported
    thrown = placed(text, tokens) or made(text, tokens)
    if thrown is None and keys[0] in PUT & DELETE:
        thrown = linked(text, tokens)
    if thrown is not None:
        return _added(text, tokens, thrown)
    belongs = {"needs", "should", "must", "belongs"} & set(keys[1:3]) and "on" in keys[2:6]
    if keys[0] in {"that", "it", "this"} and keys[-1] in LISTS and belongs:
        return _added(text, tokens, [Add(keys[0])])
    edited = first_reading(clause, CHANGES)
    if edited is not None:
        return edited
    adds = adds_of(text, tokens)
    if adds is None:
        adds = linked(text, tokens) or forgotten(text, tokens)
    if adds is not None:
        return _added(text, tokens, adds)
    if unfinished(keys):
        return Reading((Say("noted"),), context=_spoken(text, tokens))
    if of_others(keys):
        return Reading((Say("noted"),), context=_spoken(text, tokens))
    completed = first_reading(clause, COMPLETIONS)
    if completed is not None:
        return completed
    if (wish := gist_of(clause)) is not None:
        return Reading((wish,))
    return _statement(clause, has_more=has_more)


def _wonders(keys: Sequence[str]) -> bool:
    """“I need to know if the keys are back” reports nothing and orders nothing."""
    return any(
        key in {"if", "whether"} and keys[place] in {"know", "sure", "certain", "wonder", "unsure"}
        for place, key in enumerate(keys[1:8])
    )


def _conditional(clause: Clause) -> Reading:
    """“When I get home, remind me to X” is a reminder; other conditions change nothing."""
    tokens = clause.tokens
    comma = next((place for place, token in enumerate(tokens) if token.key == ","), len(tokens))
    rest = [token for token in tokens[comma + 1 :] if token.key not in {"please", "then"}]
    if rest and rest[0].key == "remind":
        adds = adds_of(clause.text, rest) or []
        when = text_of(clause.text, tokens[:comma])
        return Reading(tuple(replace(add, title=f"{add.title} {when}") for add in adds))
    return Reading((Say("hypothetical"),))


def _kept(clause: Clause) -> Reading | None:
    """“Don't delete X” and the like."""
    keys = [token.key for token in clause.tokens]
    unneeded = keys[-1] == "anymore" or keys[-2:] in (["any", "more"], ["any", "longer"])
    if unneeded and keys[:2] in (["don't", "need"], ["don't", "want"], ["no", "need"]):
        return None
    if keys[:1] in (["don't"], ["never"], ["not"]):
        size = 1
    elif keys[:2] in (["do", "not"], ["please", "don't"]):
        size = 2
    elif " ".join(keys[:3]) in _UNWANTED:
        size = 3
    else:
        return None
    rest = keys[size:]
    while rest and rest[0] in {"you", "to", "me", "want", "let"}:
        rest = rest[1:]
        size += 1
    if rest[:1] and rest[0] in {"forget", "miss"}:
        return None
    if (
        keys[:1] == ["i"]
        and rest[:1]
        and rest[0] not in DELETE | CHANGE | COMPLETE | ADD | {"mark"}
    ):
        return None
    words = clause.tokens[size + 1 :]
    named = reference_of(clause.text, words) if trimmed(words) else None
    if named is not None and named.naming in {"pronoun", "vague"}:
        named = None
    return Reading((Say("kept"),), named=named)


def _added(text: str, tokens: Sequence[Token], adds: Sequence[Add]) -> Reading:
    if not adds:
        return Reading((Say("incomplete", "add"),))
    return Reading(tuple(_fitted(add) for add in adds), named=Reference("newest"))


def _fitted(add: Add) -> Add:
    if len(add.title) <= TITLE_CHARS_MAX:
        return add
    # A title too long for the tool is cut at a word; the whole wish stays as description.
    cut = add.title[: TITLE_CHARS_MAX - 1].rsplit(" ", 1)[0] + "…"
    return replace(add, title=cut, description=add.description or add.title[:2000])


_WISHING = word_set(
    "i i'd i'll we we'd we'll should really probably ought to better must might could want like "
    "i've we've love also still just think have need gotta got had would will definitely actually"
)


_FORGETTING = {"forget", "forgetting", "forgot"}


def _spoken(text: str, tokens: Sequence[Token]) -> str:
    """The words a later "it" may mean; of "I should really call Al" only the deed."""
    rest = trimmed(tokens)
    keys = [token.key for token in rest]
    colon = keys.index(":") + 1 if ":" in keys[1:12] else 0
    forgot = next((p for p, key in enumerate(keys[:6]) if key in _FORGETTING), -1) + 1
    if colon and len(rest) > colon + 1:
        rest = rest[colon:]
    elif forgot and keys[forgot : forgot + 1] == ["to"] and len(rest) > forgot + 1:
        rest = rest[forgot + 1 :]
    if lacking := _lacking(keys):
        rest = rest[lacking:]
    elif duty := _duty_within(keys):
        rest = rest[duty:]
    if all(
        token.key in FILLERS | {"no", "nah", "nope", "idea", "point", "thinking"} for token in rest
    ):
        return ""
    if rest[0].key in {"i", "i'd", "we", "we'd", "i'll", "we'll", "i've", "we've"}:
        wishing = next((p for p, t in enumerate(rest) if t.key not in _WISHING), 0)
        modal = {"should", "ought", "better", "must", "might", "could", "want", "need", "gotta",
                 "like", "to"}  # fmt: skip
        if wishing and modal & {t.key for t in rest[:wishing]}:
            rest = rest[wishing:]
    return text_of(text, rest)


def _lacking(keys: Sequence[str]) -> int:
    """The place of what is wanted in “we're out of tea bags”, or 0."""
    for place, key in enumerate(keys[:6]):
        if place and [key, *keys[place + 1 : place + 2]] in (
            ["out", "of"], ["short", "of"], ["short", "on"], ["low", "on"]
        ) and keys[0] in {"we're", "i'm", "we", "i"} and place + 2 < len(keys):  # fmt: skip
            return place + 2
    return 0


def _duty_within(keys: Sequence[str]) -> int:
    """The place of the deed in “it occurred to me that I need to ...”, or 0."""
    if keys[1:2] == ["thing"] and "is" in keys[2:10] and {"i", "we"} & set(keys[2:6]):
        deed = keys.index("is", 2) + 1
        return deed + (keys[deed : deed + 1] == ["to"]) if deed + 1 < len(keys) else 0
    for place in range(1, min(len(keys) - 3, 12)):
        if keys[place] in {"i", "we"} and keys[place - 1] in {"that", "me", "remembered", ","}:
            modal = place + 1
            while modal < len(keys) and keys[modal] in {"really", "still", "also"}:
                modal += 1
            if keys[modal : modal + 2] in (["need", "to"], ["have", "to"], ["ought", "to"]):
                return modal + 2
            if keys[modal] in {"must", "should"} and modal + 1 < len(keys):
                return modal + 1
    return 0


def _only_points(title: str) -> bool:
    """“Wash it” is no title: what "it" is stands elsewhere."""
    words = title.casefold().split()
    if words[0] in CHANGE | DELETE | ADD and words[-1] in {"something", "this", "anything"}:
        return True
    return len(words) <= 2 and words[-1] in PRONOUNS


def _subject(text: str, tokens: Sequence[Token]) -> Reference | None:
    """The task of a remark such as "the last one's pointless", if named by place or number."""
    for place, token in enumerate(tokens[:7]):
        owned = token.text.casefold().endswith(("'s", "’s"))
        if place and (token.key in {"is", "isn't", "are", "was", "seems", "has"} or owned):
            found = reference_of(text, tokens[: place + owned], whole=False)
            return found if found.naming in {"ids", "places", "newest"} else None
    return None


def _statement(clause: Clause, *, has_more: bool) -> Reading:
    """Duties, reports in the past tense, and bare to-dos."""
    text, tokens = clause.text, clause.tokens
    keys = [token.key for token in tokens]
    duties = duty_of(text, tokens)
    if duties and any(_only_points(duty.title) for duty in duties):
        return Reading((Say("noted"),), context=_spoken(text, tokens))
    if duties:
        return Reading(tuple(_fitted(add) for add in duties), context=duties[0].title)
    spoken = _spoken(text, tokens)
    if keys[0] in DONE and all(key in DONE | {"and", "dusted", "now", "all"} for key in keys):
        return Reading((Say("noted", "complete"),))
    words = [key for key in keys[:5] if key not in {"just", "already", "finally", "now"}]
    if not words or not spoken:
        return Reading((Say("unknown"),))
    speaks = words[0] in {"i", "i've", "we", "we've", "my", "the", "had", "have"}
    past = any(key in PAST or (key.endswith("ed") and len(key) > 3) for key in words[:4])
    if words[0] in {"my", "the"}:
        past = past and bool(PASSIVE & set(keys))
    ending = len(keys) <= 5 and keys[-1] in PARTICIPLES
    ending = ending or passive(keys)
    wondered = clause.asked and words[0] in {"could", "can", "would", "might", "may", "should"}
    if not wondered and (
        (past and (speaks or words[0] in PAST or words[0].endswith("ed"))) or ending
    ):
        report = Change("complete", Reference("words", spoken), told=True, certain=False)
        pointless = bool({"it", "them"} & set(keys[1:])) or keys[-1] in PRONOUNS
        return Reading((report,), context="" if pointless and len(keys) < 6 else spoken)
    if clause.asked or words[0] in QUESTION_WORDS:
        return Reading((Say("unknown"),), context=spoken)
    orders = (DELETE | CHANGE | COMPLETE | {"mark", "tick"}) - (TASK_VERBS - _ORDERS)
    if words[0] in orders and len(keys) > 1:
        if words[0] in CHANGE - TASK_VERBS or words[0] in {"mark", "tick", "change", "update"}:
            target = reference_of(text, tokens[1:], whole=False)
            if target.naming not in {"vague"}:
                return Reading((Edit(target),), named=target)
        return Reading((Say("incomplete", "update"),))
    if keys == ["remind", "me"]:
        return Reading((Say("incomplete", "add"),))
    if len(keys) == 1 and words[0] in ADD | DELETE | COMPLETE | CHANGE:
        about = next(
            verb
            for verb, known in (
                ("add", ADD), ("delete", DELETE), ("complete", COMPLETE), ("update", CHANGE)
            )
            if words[0] in known
        )  # fmt: skip
        return Reading((Say("incomplete", about),))
    if words[0] in {"there's", "there", "i'd", "i"} and len(keys) > 3:
        return Reading((Say("noted"),), context=spoken)
    if words[0] in TASK_VERBS and len(keys) > 1 and not has_more:
        return Reading((Offer("add", spoken),), context=spoken)
    done = any(key in DONE for key in keys)
    said = Say("noted" if done else "unknown")
    return Reading((said,), context=spoken, named=_subject(text, tokens))
