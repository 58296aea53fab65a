"""The title and description of a new task, cut from the words that ask for it."""

from collections.abc import Sequence

from taskchat.assistant.offline.heads import HEAD_WORDS
from taskchat.assistant.offline.intents import Add
from taskchat.assistant.offline.lexicon import DELETE, MANY_TASKS, NOT, NUMBER_WORDS, ONE_TASK, PUT, word_set
from taskchat.assistant.offline.normalise import Token, text_of
from taskchat.assistant.offline.pattern import Pattern
from taskchat.assistant.offline.titles import titles_of
from taskchat.assistant.offline.trimming import trimmed

_D = word_set(
    "a an the another one more new my me following this these those quick extra some few "
    "couple of simple separate different additional personal work like"
)  # fmt: skip
_COUNTS = frozenset(NUMBER_WORDS) | {str(number) for number in range(2, 21)}
_NOUNS = ONE_TASK - {"one", "thing", "job"} | {"reminder", "note"}
_PLURALS = MANY_TASKS - {"stuff", "jobs"} | {"ones", "notes"}
_CLASSES = {
    "d": _D,
    "count": _COUNTS,
    "noun": frozenset(_NOUNS | {"thing", "one"}),
    "nouns": frozenset(_PLURALS),
    "add": word_set(
    "add create insert include append adding creating make set start put enter log record "
    "register open save track schedule write jot note up give want place making setting "
    "need throw"
),
    "plain": word_set("add adding insert append include"),
    "put": PUT,
    "on": word_set("on onto to in into"),
    "my": word_set("my the our this that"),
    "kind": word_set("to-do todo task tasks shopping to do"),
    "link": word_set(
    "to : called named titled for that which about of , - – — saying labelled labeled "
    "says reading is as with title name text be where i me should namely entitled "
    "reminding"
),
    "when": word_set(
    "tomorrow today tonight on at in next this every later by each monday tuesday wednesday "
    "thursday friday saturday sunday mon tue wed thu fri sat sun"
),
    "forget": word_set("forget miss"),
}  # fmt: skip

_HEADS: tuple[tuple[str, bool], ...] = (
    ("<put> that|this|it? <on> <my> <kind>* list : {title}", False),
    ("<put> <on> <my> <kind>* list {title}", False),
    ("i|i'd|we need|want|like|would|love like|love? {title} <on> <my> <kind>* list", False),
    ("i|i'd|we need|want|like|would like? {title} added to <my> <kind>* list", False),
    ("get|have|see {title} <on> <my> <kind>* list", False),
    ("i|we could|can do with a|another reminder to|about|for|of {title}", False),
    ("i|we could|can use a|another reminder to|about|for|of {title}", False),
    ("get|have|see {title} added to <my> <kind>* list", False),
    ("<put> {title} down <on> <my> <kind>* list", False),
    ("<put> {title} <on> <my> <kind>* list", False),
    ("<put> {title} <on> there|it", False),
    ("<put> {title} down <on> <my> <kind>* list", False),
    ("{title} needs|wants adding", False),
    ("{title} needs|wants adding to <my> <kind>* list", False),
    ("{title} needs|should|must to? be added", False),
    ("{title} needs|should|must to? be added to <my> <kind>* list", False),
    ("can|could i|we have|get|see {title} added", False),
    ("have|get|see {title} added", False),
    ("task|todo|to-do|reminder for|on {when} : {title}", True),
    ("make|making sure that? {title} is|gets|goes|ends up? <on> <my> <kind>* list", False),
    ("add|put|insert|include <on> <my> tasks|todos|to-dos {title}", False),
    ("<my> list needs|wants|misses {title}", False),
    ("{title} needs|should|goes|has|must|belongs to? go|be|goes? <on> <my> <kind>* list", False),
    (
        "set|make|give|create|add|need|want|put up? me? in? <d>* reminder for|on|at {when} "
        "to|about|: {title}",
        True,
    ),
    ("remind|reminding me|us {when} to|about|that|of i? need|have? to? {title}", True),
    ("remind|reminding me|us that i need|have|must|should to? {title}", False),
    ("remind|reminding me|us to|about|of|that|: to? {title}", False),
    ("remind|reminding me|us {title}", False),
    ("remember|forget|forgetting to|that|about|: i? need|have? to? {title}", False),
    ("remember {title}", False),
    ("don't|never|mustn't|not forget|miss|forgetting to|about|that|: to? {title}", False),
    ("don't|never forget|miss {title}", False),
    ("do not forget|miss to|about {title}", False),
    ("do not let me forget|miss to|about|: {title}", False),
    ("don't let me forget|miss to|about|that|: i? need|have? to? {title}", False),
    ("don't let me forget|miss {title}", False),
    ("i mustn't|can't|shouldn't|cannot forget|miss to|about {title}", False),
    ("i must|can|should not forget to|about {title}", False),
    ("i need|have|want|must|gotta|should|ought to? remember|remembering to|about {title}", False),
    ("i must|should remember to|about {title}", False),
    ("i don't want to forget to|about {title}", False),
    ("i|i'd need|want|like to? be? reminded to|about|of {title}", False),
    ("i|i'd need|want|like a|another reminder to|about|for|of {title}", False),
    ("make|making sure that? i don't? forget to {title}", False),
    ("make sure that? i remember? to? {title}", False),
    (
        "i|i'd|we need|want|would|have|like like? to? add|make|create? a|another new? "
        "task|to-do|todo|item|reminder called|named|titled|to|for|: : {title}",
        False,
    ),
    (
        "i|i'd|we need|want|would|have|like like? to? add|make|create? a|another new? "
        "task|to-do|todo|item|reminder called|named|titled|to|for|: {title}",
        False,
    ),
    (
        "i've|i|we've|we got|have a|another|one new|more? task|to-do|todo|item for you|me? : "
        "{title}",
        False,
    ),
    ("note|reminder|memo|message to self|myself : {title}", False),
    ("note to self {title}", False),
    (
        "make|take|keep a|another note|reminder to|that|about|of|: i? need|have|should? to? "
        "{title}",
        False,
    ),
    ("make a? note of {title}", False),
    ("jot|note|write|put|get|noting|jotting down : {title}", False),
    ("jot|note|write|put|get|noting down that i need|have|must to {title}", False),
    ("jot|note|write|put|noting down {title}", False),
    ("jot|note|write|put {title} down", False),
    ("jot {title}", False),
    ("note that i need|have|must|should to? {title}", False),
    ("track|log|record : {title}", False),
    ("keep track of {title}", False),
    ("new|another|next <noun> <link>* {title}", False),
    ("new <noun> {title}", False),
    ("new : {title}", False),
    ("another one <link>* {title}", False),
    ("todo|to-do|task|reminder item|task|list? : {title}", False),
    ("to do : {title}", False),
    ("todo|to-do {title}", False),
)
"""Openings of a request to add; True where the time comes before the deed."""

_PATTERNS = tuple((Pattern(phrase, _CLASSES), timed) for phrase, timed in _HEADS)
_SOFT = tuple(
    Pattern(phrase, _CLASSES)
    for phrase in (
        "i still|also|really|just? need|have|got|ought still? to also? {title}",
        "i've|we've still|also? got|gotta to {title}",
        "i|we must|gotta also? to? {title}",
        "i'd|we'd better {title}",
        "i|we had better {title}",
        "we need|have to {title}",
        "gotta|must {title}",
        "need|have|got to {title}",
        "i'm|we're supposed|meant|required to {title}",
    )
)
_VERBS = word_set(
    "add adding create creating make making set put insert include log record register "
    "open start save enter schedule write jot append note give"
)  # fmt: skip
_LOOSE = word_set(
    "create creating make making set put log record register open start save enter "
    "schedule write note give append include"
)  # fmt: skip


def adds_of(text: str, tokens: Sequence[Token]) -> list[Add] | None:
    """New tasks that the clause asks for; none named is an empty list, no request is None."""
    words = trimmed_end(tokens)
    if not words:
        return None
    for pattern, timed in _PATTERNS:
        captures = pattern.match(words)
        if captures is None:
            continue
        start, end = captures["title"]
        if timed:
            first, last = captures["when"]
            if words[first].key not in _CLASSES["when"] or last - first > 6:
                continue
            when = text_of(text, words[first:last])
            title = text_of(text, trimmed(words[start:end]))
            return [Add(f"{title} {when}")]
        return titles_of(text, words[start:end], plural=False)
    return _by_verb(text, words)


_PLACED = Pattern("<put> {title} down? <on> <my>? <kind>* list|there", _CLASSES)


_MADE = tuple(
    Pattern(phrase, _CLASSES)
    for phrase in (
        "make {title} a|into <d>* task|to-do|todo|item|reminder",
        "make|turn {title} into a <d>* task|to-do|todo|item|reminder",
        "i|i'd|we want|need|like|would|have like? {title} as|for a <d>* task|to-do|todo|item|reminder",
    )
)


def made(text: str, tokens: Sequence[Token]) -> list[Add] | None:
    """“Make "repaint the shed" a task”: only words in quotation marks are made one."""
    words = [token for token in tokens if token.kind != "mark"]
    for pattern in _MADE:
        captures = pattern.match(words)
        if captures is not None:
            start, end = captures["title"]
            if [token.kind for token in words[start:end]] == ["quote"]:
                return titles_of(text, words[start:end], plural=False)
    return None


def placed(text: str, tokens: Sequence[Token]) -> list[Add] | None:
    """"Chuck X on my list": a verb that elsewhere throws things away puts them there."""
    words = trimmed_end(tokens)
    if not words or words[0].key not in PUT & DELETE:
        return None
    captures = _PLACED.match(words)
    if captures is None:
        return None
    start, end = captures["title"]
    return titles_of(text, words[start:end], plural=False)


_LINKED_NOUNS = word_set("task to-do todo reminder item entry job errand")
_LINKS_TO = word_set("to for about called named titled saying regarding")
_BETWEEN = word_set(
    "on onto in into my the our list there for me us please up down that to to-do todo here like "
    "if you can could would mind"
)


def linked(text: str, tokens: Sequence[Token]) -> list[Add] | None:
    """A task asked for in any courteous words: "stick a reminder on there to ring Al"."""
    words = trimmed_end(tokens)
    keys = [token.key for token in words]
    noun = next((place for place, key in enumerate(keys[:12]) if key in _LINKED_NOUNS), 0)
    opening = keys[:noun]
    wished = set(opening) & (PUT | _VERBS | {"like", "love", "need", "want"})
    new = {"a", "an", "another", "new"} & set(opening[-2:])
    if not (noun and wished and new and all(key in HEAD_WORDS for key in opening)):
        return None
    place = noun + 1
    while place < len(words) and keys[place] in _BETWEEN and not (
        keys[place] in _LINKS_TO and keys[place + 1 : place + 2] not in (["my"], ["the"], ["me"])
    ):  # fmt: skip
        place += 1
    if place + 1 >= len(words) or keys[place] not in _LINKS_TO:
        return None
    if keys[place] in {"for", "about"} and keys[place + 1] in _CLASSES["when"]:
        return None
    return titles_of(text, words[_after_links(words, place) :], plural=False)


def forgotten(text: str, tokens: Sequence[Token]) -> list[Add] | None:
    """“I'd better not forget to ...”: what must not be forgotten is to be written down."""
    keys = [token.key for token in tokens]
    place = next((p for p, key in enumerate(keys[:8]) if key in {"forget", "forgetting"}), 0)
    barred = set(keys[:place]) & (NOT | {"mustn't", "don't", "nobody", "let"})
    known = HEAD_WORDS | NOT | _NAMED_SELF
    if not place or not barred or not all(key in known for key in keys[:place]):
        return None
    following = place + 1
    while following < len(keys) and keys[following] in {"to", "about", "that", ":", ","}:
        following += 1
    if following >= len(keys) or keys[following] in {"it", "this", "anything"}:
        return None
    return titles_of(text, trimmed_end(tokens)[following:], plural=False)


_NAMED_SELF = word_set("i'd i'll better had really absolutely must mustn't cannot let want")


def announced(text: str, tokens: Sequence[Token], headed: int) -> list[Add]:
    """New tasks after an announcement ("two more for the list: ...") of `headed` tokens."""
    head = [token.key for token in tokens[:headed]]
    count = next((NUMBER_WORDS[key] for key in head if key in NUMBER_WORDS and key != "one"), 0)
    count = count or next((int(key) for key in head if key.isdecimal()), 0)
    plural = count > 1 or bool(set(head) & (_PLURALS | {"things", "these", "those", "following"}))
    place = _after_links(tokens, headed)
    return titles_of(text, tokens[place:], plural=plural, count=count if plural else 0)


def trimmed_end(tokens: Sequence[Token]) -> list[Token]:
    """The tokens without courtesies at the end."""
    rest = trimmed(tokens, places=False)
    return list(tokens) if rest and rest[0] != tokens[0] else rest


def _by_verb(text: str, tokens: Sequence[Token]) -> list[Add] | None:
    """`add|create|make ... [a task] [to my list] [called] TITLE`."""
    if tokens[0].key not in _VERBS and not _is_opening(tokens):
        return None
    place = 1 if tokens[0].key in _VERBS else 0
    if tokens[place : place + 1] and tokens[place].key in {"up", "down", "in"} and place:
        place += 1
    count = 0
    noun = plural = False
    look = place
    while look < len(tokens) and tokens[look].key in _D | _COUNTS:
        key = tokens[look].key
        count = NUMBER_WORDS.get(key, int(key) if key.isdecimal() else count)
        count = 2 if key == "couple" else count
        look += 1
    if look < len(tokens) and tokens[look].key in _NOUNS | _PLURALS | {"thing", "things"}:
        plural = tokens[look].key in _PLURALS | {"things"}
        noun = True
        look += 1
        while look < len(tokens) and tokens[look].key in {"item", "reminder", "task", "items",
                                                          "tasks", "list"}:  # fmt: skip
            plural = plural or tokens[look].key in _PLURALS
            look += 1
    opening = {token.key for token in tokens[place:look]}
    pointed = look < len(tokens) and tokens[look].key in {":", ","} and look > place
    if pointed and (count > 1 or opening & {"these", "those", "following"}):
        plural = True
    if noun or pointed:
        place = look
        place = _after_list_name(tokens, place)
        place = _after_links(tokens, place)
    elif tokens[0].key in _LOOSE or place == 0:
        return None
    else:
        place = _after_links(tokens, place) if _is_link(tokens, place) else place
        count = 0
    return titles_of(text, tokens[place:], plural=plural, count=count if plural else 0)


def _is_opening(tokens: Sequence[Token]) -> bool:
    """A head without a verb: "one more task: call Tom", "two things: ..."."""
    keys = [token.key for token in tokens[:6]]
    if ":" not in keys:
        return False
    head = keys[: keys.index(":")]
    return bool(head) and all(k in _D | _COUNTS | _NOUNS | _PLURALS | {"thing"} for k in head)


def _after_list_name(tokens: Sequence[Token], place: int) -> int:
    keys = [token.key for token in tokens[place : place + 7]]
    for size in range(2, len(keys)):
        named = keys[size - 1] == "list" and keys[0] in _CLASSES["on"]
        if named and all(k in _CLASSES["my"] | _CLASSES["kind"] for k in keys[1 : size - 1]):
            return place + size
    if keys[:2] == ["for", "me"]:
        return place + 2
    return place


_LINKS = (
    "with the title|name|text : of?",
    "with the title|name|text of|as",
    "with the title|name|text",
    "with title|name",
    "to remind|remember me to|about|of",
    "reminding me to|about|of",
    "to remember to",
    "that says|reads|is called|named :",
    "that says|reads|is",
    "which says|reads|is",
    "called|named|titled|saying|labelled|labeled|entitled :",
    "called|named|titled|saying|labelled|labeled|entitled",
    "that i need|have|should|must|want to",
    "that i should|must",
    "where i need|have to",
    "i need|have to",
    "for me to",
    "to|too|:|for|about|of|,|-|–|— to",
    ": -",
    "to|too|:|for|about|,|-|–|—|of",
)


def _is_link(tokens: Sequence[Token], place: int) -> bool:
    keys = [token.key for token in tokens[place : place + 2]]
    return keys[:1] in ([":"], ["to"], ["-"]) or keys in (["that", "i"], ["to", "remind"])


def _after_links(tokens: Sequence[Token], place: int) -> int:
    moved = True
    rounds = 0
    while moved and rounds < 3:
        moved = False
        rounds += 1
        for link in _LINKS:
            words = [frozenset(word.strip("?").split("|")) for word in link.split()]
            window = tokens[place : place + len(words)]
            if (
                len(window) == len(words)
                and len(tokens) > place + len(words)
                and all(token.key in keys for token, keys in zip(window, words, strict=True))
            ):
                place += len(words)
                moved = True
                break
    return place


def duty_of(text: str, tokens: Sequence[Token]) -> list[Add] | None:
    """The deed of "I need to ..." or "I have to ..."."""
    words = trimmed_end(tokens)
    for pattern in _SOFT:
        captures = pattern.match(words)
        if captures is not None:
            start, end = captures["title"]
            if (
                words[start].key in {"be", "know", "say", "admit", "go", "think"}
                and end - start < 2
            ):
                return None
            parting = [token.key for token in words[start : start + 2]]
            if parting[0] in {"go", "leave", "run"} and parting[1:] in ([], ["now"], [","]):
                return None
            adds = titles_of(text, words[start:end], plural=False)
            return [Add(add.title, add.description, soft=True) for add in adds]
    return None
