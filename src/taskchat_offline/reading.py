"""One message made into acts: what each part of it asks for, and the words it asks with."""

from dataclasses import dataclass, field

from taskchat_offline.features import Context, Heard
from taskchat_offline.learned import ACTING, Model, best_cut, best_spans
from taskchat_offline.matching import Titles
from taskchat_offline.text import Token, spoken_of, text_of, tokens_of
from taskchat_offline.words import CLASSES_OF, STOP


@dataclass(frozen=True, slots=True)
class Act:
    """One part of the message `said`: its label, its words, and the stretches that fill slots.

    `margin` is how sure the model is that it may, or may not, change tasks; `lead` how sure it is
    of the label.
    """

    label: str
    margin: int
    said: str
    tokens: tuple[Token, ...]
    lead: int = 0
    slots: dict[str, list[list[Token]]] = field(default_factory=dict)

    @property
    def acting(self) -> bool:
        """Whether it may change tasks."""
        return self.label in ACTING

    @property
    def ordered(self) -> bool:
        """Whether its first word says to add something and nothing else."""
        names = set(CLASSES_OF.get(self.tokens[0].key, ()))
        return bool(names & {"add", "remind"}) and not names & {"delete", "update", "complete"}

    @property
    def telling(self) -> bool:
        """Whether it has words that could be those of a title."""
        words = (t.key for t in self.tokens if t.kind in {"word", "quote"})
        return any(key not in CLASSES_OF and key not in STOP for key in words)

    @property
    def text(self) -> str:
        """The part as it was said."""
        return text_of(self.said, self.tokens)

    def texts(self, slot: str) -> list[str]:
        """What fills a slot, each stretch as it was typed."""
        found = (text_of(self.said, tokens) for tokens in self.slots.get(slot, []))
        return [text for text in found if text]

    def first(self, slot: str) -> str:
        """The first of `texts`, or nothing."""
        return next(iter(self.texts(slot)), "")

    @property
    def keys(self) -> list[str]:
        """The words that fill no slot, as they are compared."""
        filled = {id(t) for spans in self.slots.values() for span in spans for t in span}
        return [token.key for token in self.tokens if id(token) not in filled]


def read(said: str, titles: Titles, context: Context, model: Model) -> list[Act]:
    """The parts of a message, in the order said."""
    heard = Heard(spoken_of(tokens_of(said)), titles, context)
    acts: list[Act] = []
    for segment in best_cut(heard, model.segments, model.steps) if heard.tokens else ():
        tokens = heard.tokens[segment.start : segment.end]
        slots: dict[str, list[list[Token]]] = {}
        for span in best_spans(heard, segment, model.words, model.spans):
            slots.setdefault(span.slot, []).append(heard.tokens[span.start : span.end])
        acts.append(Act(segment.label, segment.margin, said, tuple(tokens), segment.lead, slots))
    return acts
