"""Greetings, thanks, consent and refusal: a message that is nothing but courtesy."""

from collections.abc import Sequence

from taskchat_offline.clauses import Clause
from taskchat_offline.intents import Intent, Say
from taskchat_offline.lexicon import ADD, CHANGE, DELETE, word_set
from taskchat_offline.normalise import key_of, tokens_of

_HELLO = word_set("hi hello hey hiya howdy yo morning greetings heya")


_THANKS = word_set("thanks thank thx ta cheers appreciated appreciate")


_BYE = word_set("bye goodbye goodnight cya later farewell")


_YES = word_set("yes yeah yep yup sure ok okay correct right absolutely definitely please")


_NO = word_set("no nope nah neither none cancel nevermind stop")


_YES_PHRASES = frozenset(
    ("do it", "go ahead", "yes please", "please do", "of course", "go for it", "sounds good",
     "yes do it", "yes add it", "that's right", "yes go ahead", "yes please do", "add it please",
     "yes delete it", "yes that's right", "yes i do", "ok do it", "sure thing", "sure go ahead")
)  # fmt: skip


_NO_PHRASES = frozenset(
    ("never mind", "forget it", "leave it", "no thanks", "no thank you", "none of them",
     "neither of them", "forget that", "forget about it", "no don't", "not now", "don't bother",
     "don't", "scratch that", "no leave it", "no never mind", "actually never mind", "no wait",
     "cancel that", "don't do it", "actually don't", "no need", "actually no", "let it be",
     "never mind then", "oh never mind", "do nothing", "leave them", "drop it", "stop it")
)  # fmt: skip


_PRAISE = word_set("great awesome perfect helpful good nice cool brilliant wonderful")
_HELLO_PHRASES = frozenset(
    ("how are you", "how are you doing", "how's it going", "what's up", "how do you do",
     "good evening", "good afternoon", "good day", "how are you today")
)  # fmt: skip
_GREETING_WORDS = _HELLO | word_set(
    "there good afternoon evening day everyone assistant bot how are you doing today's "
    "today it going what's up nice to meet all is your my friend"
)


_THANKS_WORDS = _THANKS | word_set(
    "you so very much a lot that's really helpful great for the help your that awesome "
    "perfect it many this is was good nice all brilliant wonderful lovely excellent job "
    "work ok okay super again mate lot bunch million cool of both i"
)


def social_of(clauses: Sequence[Clause]) -> Intent | None:
    """The answer to a message that is nothing but courtesy, or None."""
    text = clauses[0].text if clauses else ""
    words = [key_of(t.text) for t in tokens_of(text) if t.kind == "word"]
    phrase = " ".join(words)
    if not words:
        return Say("unknown")
    if len(words) > 14:
        return None
    kept = set(words)
    if phrase in _YES_PHRASES or kept <= _YES:
        return Say("yes")
    if phrase in _NO_PHRASES or kept <= _NO or (kept <= _NO | _YES and kept & _NO):
        return Say("no")
    if kept & _BYE and len(words) <= 5 and not kept & (DELETE | ADD | CHANGE | {"remind"}):
        return Say("bye")
    if kept & _HELLO and kept <= _GREETING_WORDS | {"i'm"}:
        return Say("hello")
    if phrase in _HELLO_PHRASES:
        return Say("hello")
    if kept <= _THANKS_WORDS and kept & (_THANKS | _PRAISE):
        return Say("thanks")
    return None
