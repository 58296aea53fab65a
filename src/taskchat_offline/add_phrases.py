"""The openings of a request to add, as phrases. First match wins, so the narrower come first."""

from taskchat_offline.lexicon import MANY_TASKS, NUMBER_WORDS, ONE_TASK, PUT, word_set
from taskchat_offline.pattern import Pattern

MODIFIERS = word_set(
    "a an the another one more new my me following this these those quick extra some few "
    "couple of simple separate different additional personal work like"
)  # fmt: skip

COUNTS = frozenset(NUMBER_WORDS) | {str(number) for number in range(2, 21)}

NOUNS = ONE_TASK - {"one", "thing", "job"} | {"reminder", "note"}

PLURALS = MANY_TASKS - {"stuff", "jobs"} | {"ones", "notes"}

CLASSES = {
    "d": MODIFIERS,
    "count": COUNTS,
    "noun": frozenset(NOUNS | {"thing", "one"}),
    "nouns": frozenset(PLURALS),
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

OPENINGS = tuple((Pattern(phrase, CLASSES), timed) for phrase, timed in _HEADS)

DUTIES = tuple(
    Pattern(phrase, CLASSES)
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

PLACED = Pattern("<put> {title} down? <on> <my>? <kind>* list|there", CLASSES)

MADE = tuple(
    Pattern(phrase, CLASSES)
    for phrase in (
        "make {title} a|into <d>* task|to-do|todo|item|reminder",
        "make|turn {title} into a <d>* task|to-do|todo|item|reminder",
        "i|i'd|we want|need|like|would|have like? {title} as|for a <d>* "
        "task|to-do|todo|item|reminder",
    )
)
