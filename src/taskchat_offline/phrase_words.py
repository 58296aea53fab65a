"""What the phrases about existing tasks can mean, and the word classes they are made of."""

from typing import Literal

from taskchat_offline.lexicon import (
    CHANGE,
    DELETE,
    DONE,
    FIELDS,
    LISTS,
    OPEN,
    PARTICIPLES,
    RENAME,
    RESCHEDULE,
    word_set,
)

Effect = Literal[
    "describe", "retitle", "replace", "append", "move", "undescribe", "complete", "told",
    "reopen", "name", "note", "delete", "unwanted", "offer_delete", "undo", "swap",
    "field", "remark", "back",
]  # fmt: skip

CLASSES = {
    "done": DONE | {"resolved", "over", "handled", "dealt", "off"},
    "state": DONE - {"finish", "closed", "checked"}
    | {"handled", "ready", "resolved", "submitted", "closed"},
    "past": PARTICIPLES,
    "open": (OPEN - {"still", "left", "open"}) | {"open", "undone", "todo", "active"},
    "change": CHANGE,
    "rename": RENAME,
    "resched": RESCHEDULE,
    "delete": DELETE,
    "list": LISTS,
    "tf": frozenset(word for word, field in FIELDS.items() if field == "title"),
    "df": frozenset(word for word, field in FIELDS.items() if field == "description"),
    "field": frozenset(FIELDS),
    "to": word_set("to into as with :"),
    "adv": word_set(
        "now already finally just all also totally officially really completely indeed "
        "basically both successfully actually"
    ),
    "be": word_set("is are was were been being be it's that's they're"),
    "i": word_set("i we"),
    "ive": word_set("i've we've"),
    "im": word_set("i'm we're"),
    "det": word_set("a an the its my this another new more some extra"),
    "says": word_set("saying says say reading reads read : - – — that"),
    "called": word_set("called named titled"),
    "off": word_set("off out"),
    "didverb": word_set(
        "did done finished completed finish handled sorted accomplished wrapped nailed "
        "concluded finalised finalized closed ticked crushed smashed aced"
    ),
    "mark": word_set(
        "mark set flag tag label put make consider count call log record report declare "
        "change update switch move turn marking register show treat"
    ),
    "tick": word_set("tick check cross ticking checking crossing"),
    "finish": word_set(
        "complete finish close finalise finalize completing finishing conclude wrap"
    ),
    "check": word_set("tick check checkmark tickmark cross check-mark mark"),
    "we": word_set("i we you they"),
    "dont": word_set("don't not needn't won't do doesn't dont"),
    "anymore": word_set("anymore now longer"),
    "isnt": word_set("isn't aren't not ain't"),
    "needed": word_set("needed necessary required relevant wanted"),
    "wrong": word_set("wrong incorrect outdated old stale mistaken inaccurate date right off bad"),
    "jot": word_set("add attach put write append include leave stick pop slap"),
    "mine": word_set("my the our this"),
}
"""Named word classes that the phrases below use."""
