"""From a message to what it asks for. Pure: the same words always mean the same."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

from taskchat.assistant.offline.adding import adds_of, described, duty_of
from taskchat.assistant.offline.clauses import Clause, clauses_of
from taskchat.assistant.offline.intents import (
    PRONOUN,
    Add,
    Ask,
    Change,
    Edit,
    Intent,
    Offer,
    Reference,
    Reword,
    Say,
    Show,
    Understanding,
)
from taskchat.assistant.offline.lexicon import (
    ADD,
    CHANGE,
    COMPLETE,
    DELETE,
    DONE,
    FIELDS,
    NOT,
    PARTICIPLES,
    PAST,
    PRONOUNS,
    QUESTION_WORDS,
    TASK_NOUNS,
    TASK_VERBS,
)
from taskchat.assistant.offline.normalise import Token, text_of
from taskchat.assistant.offline.pattern import Captures, Pattern
from taskchat.assistant.offline.phrases import CHANGES, COMPLETIONS, Effect
from taskchat.assistant.offline.questions import question_of, social_of
from taskchat.assistant.offline.references import is_punctuation, reference_of, trimmed

READINGS_MAX = 12
"""Ways to cut one edit that are compared with the titles."""

TITLE_CHARS_MAX = 200
"""The longest title a task can have; the rest of a longer wish becomes its description."""

_REPORTERS = frozenset(
    [
        "says",
        "said",
        "told",
        "tells",
        "asked",
        "asks",
        "thinks",
        "thought",
        "wants",
        "wanted",
        "claims",
        "reckons",
        "hopes",
        "hoped",
        "wish",
        "wishes",
        "heard",
        "suggested",
        "recommends",
        "believe",
        "mentioned",
    ]
)
_WAVERING = frozenset(
    [
        "might",
        "may",
        "maybe",
        "could",
        "thinking",
        "considering",
        "wondering",
        "wonder",
        "should",
        "gonna",
        "going",
        "will",
        "i'll",
        "we'll",
        "would",
        "i'd",
        "started",
        "starting",
        "trying",
        "tried",
        "almost",
        "nearly",
        "halfway",
        "wish",
        "hope",
        "hoping",
        "plan",
        "planning",
        "about",
        "intend",
        "supposed",
        "used",
        "soon",
        "later",
    ]
)
_PASSIVE = frozenset("is are was were been got has have".split())
_TIMES = frozenset(
    tuple(phrase.split())
    for phrase in [
        "this morning",
        "this afternoon",
        "this evening",
        "last night",
        "yesterday",
        "today",
        "earlier",
        "tonight",
        "just now",
        "already",
        "finally",
        "earlier today",
        "a while",
        "ago",
        "last week",
        "at last",
        "at lunch",
        "for you",
    ]
)


@dataclass(frozen=True, slots=True)
class _Reading:
    """A clause's intents, and the words that a later "it" may point back to."""

    intents: tuple[Intent, ...]
    context: str = ""
    named: Reference | None = None


def understand(text: str) -> Understanding:
    """What a message asks for, in the order said.

    Args:
        text: The user's message, any text.

    Returns:
        At least one intent; `Say("unknown")` when nothing was understood.
    """
    clauses = clauses_of(text)
    social = social_of(clauses)
    if social is not None:
        return Understanding((social,), text.strip())
    readings: list[_Reading] = []
    for place, clause in enumerate(clauses):
        if clause.tokens:
            readings.append(_read(clause, has_more=place + 1 < len(clauses)))
    intents = _settled(readings)
    last = clauses[-1] if clauses else None
    bare = None
    again = False
    words = text.strip()
    if last is not None and len([c for c in clauses if c.tokens]) == 1:
        only = next(c for c in clauses if c.tokens)
        bare = reference_of(only.text, _answer(only.tokens))
        again = only.joined or _adds_on(text)
        words = text_of(only.text, trimmed(_answer(only.tokens)))
    return Understanding(tuple(intents), words, bare, again)


def _adds_on(text: str) -> bool:
    words = text.casefold().strip(" .!?").split()
    if "i meant" in " ".join(words[:6]) or "i mean" in " ".join(words[:6]):
        return True
    return bool(words) and (words[-1] in {"too", "also"} or words[-2:] == ["as", "well"]
                            or words[:3] == ["same", "for", "the"] or words[:2] == ["same", "for"]
                            or words[:2] == ["same", "with"] or words[:2] == ["what", "about"])  # fmt: skip


def _answer(tokens: Sequence[Token]) -> Sequence[Token]:
    """The tokens without "I meant", "it's" or "same for" before a name."""
    keys = [token.key for token in tokens[:4]]
    for opening in (
        ["i", "meant"], ["i", "mean"], ["it's"], ["it", "is"], ["do", "the", "same", "for"],
        ["the", "same", "for"], ["same", "for"], ["same", "with"], ["what", "about"], ["i'd", "say"],
        ["do"], ["for"], ["no"], ["i", "want"], ["about"], ["it", "was"], ["with"], ["call", "it"],
    ):  # fmt: skip
        if keys[: len(opening)] == opening and len(tokens) > len(opening):
            return _answer(tokens[len(opening) :])
    return tokens


def _settled(readings: Sequence[_Reading]) -> list[Intent]:
    """One list of intents: reports give way to commands about the same task."""
    intents: list[Intent] = []
    context = ""
    named: Reference | None = None
    for reading in readings:
        for intent in reading.intents:
            if isinstance(intent, Edit) and _describes(intent) and intents:
                last = intents[-1]
                if isinstance(last, Add) and not last.soft and not last.description:
                    intents[-1] = replace(last, description=intent.description)
                    continue
            settled = _pointed(intent, context, named)
            if isinstance(settled, Change | Edit | Reword) and _is_pronoun(intent):
                intents = [i for i in intents if not _yields(i, context, named)]
            if (
                isinstance(settled, Change)
                and settled.told
                and _is_pronoun(intent)
                and any(isinstance(i, Change) and not i.told for i in intents)
            ):
                continue
            intents.append(settled)
        if reading.context:
            context = reading.context
        named = reading.named or named
        if reading.named is not None and reading.named.naming != "words":
            context = ""
    return _weeded(intents)


def _describes(edit: Edit) -> bool:
    """Whether the edit only describes "it", the task named just before."""
    return edit.title is None and bool(edit.description) and edit.target.naming == "pronoun"


def _is_pronoun(intent: Intent) -> bool:
    if isinstance(intent, Reword):
        return any(_is_pronoun(edit) for edit in intent.readings)
    if isinstance(intent, Add):
        return intent.title.casefold() in PRONOUNS
    return isinstance(intent, Change | Edit | Offer) and intent.target.naming == "pronoun"


def _yields(intent: Intent, context: str, named: Reference | None) -> bool:
    """Whether a report is only the reason for the command that follows it."""
    if isinstance(intent, Change):
        return intent.told
    return isinstance(intent, Offer) or (isinstance(intent, Say) and intent.topic != "kept")


def _pointed(intent: Intent, context: str, named: Reference | None) -> Intent:
    """The intent with "it" pointing at what the message named before."""
    if isinstance(intent, Reword):
        edits = [_pointed(edit, context, named) for edit in intent.readings]
        return Reword(tuple(edit for edit in edits if isinstance(edit, Edit)))
    if isinstance(intent, Add) and intent.title.casefold() in PRONOUNS and context:
        return replace(intent, title=context)
    if not isinstance(intent, Change | Edit | Ask) or intent.target.naming != "pronoun":
        return intent
    if named is not None:
        return replace(intent, target=replace(named, context=context))
    if context and not intent.target.plural:
        return replace(intent, target=replace(intent.target, context=context))
    return intent


def _weeded(intents: Sequence[Intent]) -> list[Intent]:
    """Without what only accompanied a request: duties, remarks, offers."""
    asked = [i for i in intents if isinstance(i, Change | Edit | Reword | Show | Ask)
             or (isinstance(i, Add) and not i.soft)]  # fmt: skip
    certain = [i for i in asked if not (isinstance(i, Change) and i.told and not i.certain)]
    pronoun_add = any(isinstance(i, Add) and i.title.casefold() in PRONOUNS for i in intents)
    if any(isinstance(i, Add) and not i.soft for i in intents) and not pronoun_add:
        kept = [i for i in intents if not (isinstance(i, Add) and i.soft)]
    else:
        kept = list(intents)
    if certain:
        return [i for i in kept if not isinstance(i, Say | Offer) or
                (isinstance(i, Say) and i.topic in {"kept", "undo", "reopen"})]  # fmt: skip
    duties = [i for i in kept if isinstance(i, Add)]
    if duties:
        return [i for i in kept if isinstance(i, Add | Change)]
    told = [i for i in kept if isinstance(i, Change)]
    if told:
        return list(told)
    telling = [i for i in kept if not (isinstance(i, Say) and i.topic == "unknown")]
    return telling[:1] or [Say("unknown")]


def _read(clause: Clause, *, has_more: bool) -> _Reading:
    text, tokens = clause.text, clause.tokens
    keys = [token.key for token in tokens]
    if clause.hypothetical:
        return _conditional(clause)
    if (kept := _kept(clause)) is not None:
        return kept
    question = question_of(clause)
    if question is not None:
        named = question.target if isinstance(question, Ask) else None
        return _Reading((question,), named=named)
    if any(key in _REPORTERS for key in keys[:8]) and not clause.led:
        opening = adds_of(text, tokens) if keys[0] in ADD | {"remind", "remember", "note"} else None
        if not opening and keys[0] not in DELETE | CHANGE | {"mark", "tick"}:
            return _Reading((Say("noted"),), context=text_of(text, tokens))
    edited = _first(clause, CHANGES)
    if edited is not None:
        return edited
    adds = adds_of(text, tokens)
    if adds is not None:
        return _added(text, tokens, adds)
    if _unfinished(keys):
        return _Reading((Say("noted"),), context=_spoken(text, tokens))
    completed = _first(clause, COMPLETIONS)
    if completed is not None:
        return completed
    return _statement(clause, has_more=has_more)


def _conditional(clause: Clause) -> _Reading:
    """ "When I get home, remind me to X" is a reminder; other conditions change nothing."""
    tokens = clause.tokens
    comma = next((place for place, token in enumerate(tokens) if token.key == ","), len(tokens))
    rest = [token for token in tokens[comma + 1 :] if token.key not in {"please", "then"}]
    if rest and rest[0].key == "remind":
        adds = adds_of(clause.text, rest) or []
        when = text_of(clause.text, tokens[:comma])
        return _Reading(tuple(replace(add, title=f"{add.title} {when}") for add in adds))
    return _Reading((Say("hypothetical"),))


def _kept(clause: Clause) -> _Reading | None:
    """ "Don't delete X" and the like."""
    keys = [token.key for token in clause.tokens]
    if keys[:1] in (["don't"], ["never"], ["not"]):
        size = 1
    elif keys[:2] in (["do", "not"], ["please", "don't"]):
        size = 2
    elif keys[:3] in (["i", "don't", "want"], ["you", "don't", "need"], ["you", "don't", "have"],
                      ["i", "wouldn't", "want"], ["i", "didn't", "ask"]) or keys[:3] == ["no", "need", "to"]:  # fmt: skip
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
    return _Reading((Say("kept"),), named=named)


def _first(clause: Clause, phrases: Sequence[tuple[Effect, Pattern]]) -> _Reading | None:
    """The reading of the first phrase that fits, with or without the courtesies at the end."""
    whole = list(clause.tokens)
    while len(whole) > 1 and whole[-1].kind == "mark" and is_punctuation(whole[-1]):
        whole.pop()
    plain = trimmed(whole, places=False)
    for tokens in (whole, plain) if len(plain) < len(whole) else (whole,):
        for effect, pattern in phrases:
            cuts = list(islice(pattern.matches(tokens), READINGS_MAX))
            reading = _effect(clause, tokens, effect, cuts) if cuts else None
            if reading is not None:
                return reading
    return None


def _effect(
    clause: Clause, tokens: Sequence[Token], effect: Effect, readings: Sequence[Captures]
) -> _Reading | None:
    text = clause.text

    def piece(captures: Captures, gap: str) -> list[Token]:
        start, end = captures.get(gap, (0, 0))
        return list(tokens[start:end])

    if effect in {"undo", "reopen"}:
        return _Reading((Say("undo" if effect == "undo" else "reopen"),))
    first = readings[0]
    if effect in {"complete", "told", "delete", "offer_delete"}:
        words = piece(first, "task")
        if effect == "told":
            words = _untimed(words)
        target = reference_of(text, words) if words else PRONOUN
        spoken = text_of(text, trimmed(words))
        if effect == "offer_delete":
            if target.naming == "vague":
                return None
            return _Reading((Offer("delete", spoken, target),), context=spoken)
        verb = "delete" if effect == "delete" else "complete"
        if target.naming == "vague":
            return _Reading((Say("howto" if clause.led else "incomplete", verb),))
        told = effect == "told"
        if told and any(t.key in _WAVERING for t in words[:4]) and words[0].key in {"i", "we"}:
            return _Reading((Say("noted"),), context=spoken)
        change = Change("delete" if verb == "delete" else "complete", target, told=told)
        named = target if target.naming != "pronoun" else None
        return _Reading((change,), context=spoken if named else "", named=named)
    edits = [
        edit
        for captures in readings
        if (edit := _edit(text, effect, {gap: piece(captures, gap) for gap in captures}))
    ]
    if not edits:
        return None
    if effect == "name":
        edits.reverse()
    intent: Intent = edits[0] if len(edits) == 1 else Reword(tuple(edits))
    named = edits[0].target if edits[0].target.naming != "pronoun" and len(edits) == 1 else None
    return _Reading((intent,), named=named)


def _untimed(tokens: list[Token]) -> list[Token]:
    """A report without the time it happened: "it this morning" is "it"."""
    rest = trimmed(tokens)
    for size in (2, 1):
        keys = tuple(token.key for token in rest[-size:])
        if len(rest) > size and keys in _TIMES:
            return _untimed(rest[:-size])
    return rest


def _edit(text: str, effect: Effect, gaps: dict[str, list[Token]]) -> Edit | None:
    words = gaps.get("task", [])
    target = reference_of(text, words, whole=False) if words else PRONOUN
    unnamed = {"a", "an", "my", "another", "up"} | TASK_NOUNS | set(FIELDS)
    if words and all(t.key in unnamed for t in words) and target.naming in {"vague", "words"}:
        return None
    if effect == "undescribe":
        return Edit(target, description="")
    value_tokens = trimmed(gaps.get("value", []))
    value = text_of(text, value_tokens)
    if not value:
        return None
    if effect == "describe":
        return _described_edit(target, text, value_tokens)
    if effect == "replace":
        return Edit(target, title=value, replaced=text_of(text, trimmed(gaps["old"])))
    if effect == "append":
        return Edit(target, title=value, appended=True)
    if effect == "name":
        ended = bool(words) and words[-1].key in TASK_NOUNS
        pointed = target.naming in {"ids", "places", "pronoun", "newest"}
        quoted = len(words) == 1 and words[0].kind == "quote"
        return Edit(target, title=value) if ended or pointed or quoted else None
    if effect == "move":
        return Edit(target, title=value, dated=True)
    title_tokens, description = described(text, value_tokens)
    if title_tokens and title_tokens[-1].key == "instead":
        title_tokens = title_tokens[:-1]
    return Edit(target, title=text_of(text, title_tokens), description=description)


def _described_edit(target: Reference, text: str, tokens: list[Token]) -> Edit:
    """Cuts "Y and its title to Z" out of a new description."""
    keys = [token.key for token in tokens]
    for place in range(1, len(keys) - 3):
        if (
            keys[place] == "and"
            and keys[place + 1] in {"the", "its"}
            and FIELDS.get(keys[place + 2]) == "title"
            and keys[place + 3] in {"to", "as"}
        ):
            title = text_of(text, tokens[place + 4 :]) or None
            return Edit(target, title, text_of(text, tokens[:place]))
    return Edit(target, description=text_of(text, tokens))


def _added(text: str, tokens: Sequence[Token], adds: Sequence[Add]) -> _Reading:
    if not adds:
        return _Reading((Say("incomplete", "add"),))
    return _Reading(tuple(_fitted(add) for add in adds), named=Reference("newest"))


def _fitted(add: Add) -> Add:
    if len(add.title) <= TITLE_CHARS_MAX:
        return add
    # A title too long for the tool is cut at a word; the whole wish stays as description.
    cut = add.title[: TITLE_CHARS_MAX - 1].rsplit(" ", 1)[0] + "…"
    return replace(add, title=cut, description=add.description or add.title[:2000])


def _unfinished(keys: Sequence[str]) -> bool:
    """Statements such as "I haven't done the laundry yet" and "I almost finished it"."""
    speaks = bool(keys) and (
        keys[0] in {"i", "i've", "i'm", "we", "we've", "we're", "haven't", "didn't", "it", "it's",
                    "that's", "the", "my", "still", "not", "task", "i'll", "we'll", "that", "i'd"}
    )  # fmt: skip
    negated = any(key in NOT and key not in {"yet"} for key in keys)
    wavering = any(key in _WAVERING for key in keys[1:6]) and keys[:1] != ["the"]
    return speaks and (negated or wavering or "?" in keys)


def _spoken(text: str, tokens: Sequence[Token]) -> str:
    return text_of(text, trimmed(tokens))


def _statement(clause: Clause, *, has_more: bool) -> _Reading:
    """Duties, reports in the past tense, and bare to-dos."""
    text, tokens = clause.text, clause.tokens
    keys = [token.key for token in tokens]
    duties = duty_of(text, tokens)
    if duties:
        return _Reading(tuple(_fitted(add) for add in duties), context=duties[0].title)
    spoken = _spoken(text, tokens)
    words = [key for key in keys[:5] if key not in {"just", "already", "finally", "now"}]
    if not words or not spoken:
        return _Reading((Say("unknown"),))
    speaks = words[0] in {"i", "i've", "we", "we've", "my", "the", "had", "have"}
    past = any(key in PAST or (key.endswith("ed") and len(key) > 3) for key in words[:4])
    if words[0] in {"my", "the"}:
        past = past and bool(_PASSIVE & set(keys))
    ending = len(keys) <= 5 and keys[-1] in PARTICIPLES
    if (past and (speaks or words[0] in PAST or words[0].endswith("ed"))) or ending:
        report = Change("complete", Reference("words", spoken), told=True, certain=False)
        pointless = any(key in PRONOUNS for key in keys[1:])
        return _Reading((report,), context="" if pointless and len(keys) < 6 else spoken)
    if clause.asked or words[0] in QUESTION_WORDS:
        return _Reading((Say("unknown"),))
    if words[0] in DELETE | CHANGE | COMPLETE | {"mark", "tick", "rename"} and len(keys) > 1:
        if words[0] in CHANGE - TASK_VERBS or words[0] in {"mark", "tick", "change", "update"}:
            target = reference_of(text, tokens[1:], whole=False)
            if target.naming not in {"vague"}:
                return _Reading((Edit(target),), named=target)
        return _Reading((Say("incomplete", "update"),))
    if len(keys) == 1 and words[0] in ADD | DELETE | COMPLETE | CHANGE:
        about = "add" if words[0] in ADD else "delete" if words[0] in DELETE else "complete"
        return _Reading((Say("incomplete", about),))
    if words[0] in {"there's", "there", "i'd", "i"} and len(keys) > 3:
        return _Reading((Say("noted"),), context=spoken)
    if words[0] in TASK_VERBS and len(keys) > 1 and not has_more:
        return _Reading((Offer("add", spoken),), context=spoken)
    done = any(key in DONE for key in keys)
    return _Reading((Say("noted" if done else "unknown"),), context=spoken)
