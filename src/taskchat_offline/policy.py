"""What a message's acts come to: calls, remarks, a question. A doubt becomes a question."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise
from typing import Final, Literal

from taskchat_offline import reply
from taskchat_offline.features import Context
from taskchat_offline.history import TURNS_BACK_MAX, ToolCall, Turn, memory_of, tasks_of
from taskchat_offline.learned import load
from taskchat_offline.matching import (
    LIGHT,
    Task,
    Titles,
    best_fits,
    content,
    plain,
    told_done,
)
from taskchat_offline.reading import Act, read
from taskchat_offline.references import (
    Match,
    Memory,
    Reference,
    pointed_at,
    reference_of,
    resolve,
)
from taskchat_offline.rewording import Edit, edit_of, edited
from taskchat_offline.words import CLASSES_OF, stem

Verb = Literal["add", "complete", "delete", "change"]

_VERBS: Final[dict[str, Verb]] = {
    "add": "add", "duty": "add", "complete": "complete", "report": "complete",
    "delete": "delete", "retitle": "change", "describe": "change",
}  # fmt: skip
_ENDING: Final[dict[str, Verb]] = {"complete_task": "complete", "delete_task": "delete"}


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked: "which" candidates, "whether" to do it at all, "what" the words are."""

    kind: Literal["which", "whether", "what"]
    verb: Verb
    candidates: tuple[Task, ...] = ()
    title: str = ""
    edit: Edit = field(default_factory=Edit)


@dataclass(frozen=True, slots=True)
class Show:
    """A list to show; `words` narrows it, `counted` tells how many."""

    status: str
    words: str = ""
    counted: bool = False


@dataclass(slots=True)
class Draft:
    """Calls in the order asked for, and what to say besides.

    `spoken` are the tasks that the notes speak of; `awaiting` when more calls follow once a new
    task has its id.
    """

    calls: list[ToolCall] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    shows: list[Show] = field(default_factory=list)
    question: Question | None = None
    spoken: tuple[int, ...] = ()
    awaiting: bool = False

    def ask(self, text: str, question: Question) -> None:
        """Say the text; the question it asks is open from now on."""
        self.notes.append(text)
        self.question = question


@dataclass(frozen=True, slots=True)
class State:
    """What the conversation has led to, before a message; `did` is the last tool it called."""

    memory: Memory
    question: Question | None = None
    did: str = ""


def state_after(earlier: Sequence[Turn], depth: int = 0) -> State:
    """The state after these turns: each is worked out again, nothing is kept."""
    memory = memory_of(earlier)
    if not earlier or depth >= TURNS_BACK_MAX:
        return State(memory)
    last = earlier[-1]
    done = [step.name for step in last.changes if step.result is not None]
    if done:
        return State(memory, None, done[-1])
    before = state_after(earlier[:-1], depth + 1)
    draft = draft_of(last, before, acts_of(last, before))
    if draft.spoken and not draft.shows:
        memory = replace(memory, focus=draft.spoken)
    return State(memory, draft.question, "list_tasks" if last.steps and draft.shows else "")


def acts_of(turn: Turn, state: State) -> Sequence[Act]:
    """What the turn's message asks for, read with what is known of the list by now."""
    whole = turn.looks and turn.looks[0].arguments.get("status", "all") == "all"
    context = Context(state.question.kind if state.question else "", state.did)
    return _acts(turn.said, tuple(tasks_of(turn.looks[0])) if whole else (), context)


@lru_cache(maxsize=32)
def _acts(said: str, tasks: tuple[Task, ...], context: Context) -> Sequence[Act]:
    # Each step of a turn reads what was said before it once more.
    return read(said, Titles(tasks), context, load())


def draft_of(turn: Turn, state: State, acts: Sequence[Act]) -> Draft:
    """All that a message comes to, given the list as it was when the turn began."""
    answer = _answer(state.question, acts, turn.said) if state.question and acts else None
    return _Drafting(turn, state).draft(acts) if answer is None else answer


class _Drafting:
    """Goes through the acts of one message."""

    def __init__(self, turn: Turn, state: State) -> None:
        self.out = Draft()
        self.did = state.did
        self.memory = state.memory
        self.titles = Titles(tasks_of(turn.looks[0]) if turn.looks else [])
        self.margin_min = load().margin_min
        self._created = [step for step in turn.steps if step.name == "add_task"]
        self._pending = False
        self._told: tuple[int, ...] = ()
        self._duty = ""
        self._reported: list[ToolCall] = []
        self._verb: Verb | None = None
        self._before: list[Act] = []
        self._all: Sequence[Act] = ()

    def draft(self, acts: Sequence[Act]) -> Draft:
        """The calls and remarks of all acts, in order."""
        self._all = acts = _surer_together(_without_called_off(acts))
        for place, act in enumerate(acts):
            if self.out.awaiting:
                break
            ids = [call.arguments.get("task_id") for call in self.out.calls]
            self.memory = replace(self.memory, acted=tuple(n for n in ids if isinstance(n, int)))
            self._take(act, acts[place + 1 :])
            self._before.append(act)
        return self._closed(acts)

    def _take(self, act: Act, later: Sequence[Act]) -> None:
        match act.label.split()[0]:
            case "add" | "duty":
                self._add(act, later)
            case "complete" | "delete":
                self._change(act)
            case "report":
                self._report(act, ordered=any(a.label in {"complete", "delete"} for a in later))
            case "retitle" | "describe":
                self._edit(act)
            case "list":
                counted = bool({"many", "much"} & set(act.keys))
                self.out.shows.append(Show(act.label.split()[1], act.first("W"), counted))
            case "ask":
                self._ask(act)
            case "offer":
                self._duty = act.first("T") or act.text
            case "pick":
                self._continue(act)

    def _closed(self, acts: Sequence[Act]) -> Draft:
        out = self.out
        out.calls = _without_overruled(out.calls, self._reported)
        if out.calls or out.notes or out.shows:
            return out
        offers = [act for act in acts if act.label == "offer"]
        if len(offers) == 1 and not any(act.label in {"hold", "no"} for act in acts):
            out.ask(reply.saying("offer", self._duty), Question("whether", "add", title=self._duty))
            return out
        out.notes.append(_remark(acts))
        held = [act.text for act in acts if act.label in {"hold", "ask"}]
        near = told_done(held[-1], self.titles) if held else []
        out.spoken = (near[0].id,) if len(near) == 1 else ()
        return out

    def _doubted(self, act: Act, text: str, question: Question) -> bool:
        """Asks instead, if the model is not sure enough to change something."""
        if act.margin >= self.margin_min:
            return False
        if not self.out.question:
            self.out.ask(text, question)
        return True

    def _add(self, act: Act, later: Sequence[Act]) -> None:
        wanted = act.texts("T") or ([self._duty] if self._duty else [])
        if not wanted:
            if act.label == "add" and not self.out.calls:
                self.out.ask("What should the task be?", Question("what", "add"))
            return
        if act.label == "duty" and any(a.label == "add" and not a.texts("T") for a in later):
            self._duty = wanted[0]
            return
        # "Don't tick it off, I need to oil it first": a duty beside what is held back.
        held = act.label == "duty" and any(a.label == "hold" for a in self._before)
        if held or act.margin < self.margin_min:
            self._duty = wanted[0]
            if not self.out.calls and not self.out.question:
                question = Question("whether", "add", title=wanted[0])
                self.out.ask(reply.saying("offer", wanted[0]), question)
            return
        for title in wanted:
            self._put_add(title, act.first("D") if title is wanted[-1] else "")
        self._duty = ""

    def _put_add(self, title: str, description: str) -> None:
        added = sum(call.name == "add_task" for call in self.out.calls)
        described: dict[str, object] = {"description": description} if description else {}
        self.out.calls.append(ToolCall("add_task", {"title": title, **described}))
        task_id = self._created[added].task_id if added < len(self._created) else None
        if task_id is not None:
            self.titles = Titles([*self.titles.tasks, Task(task_id, title)])
            self.memory = replace(self.memory, newest=task_id, focus=(task_id,))
        self._pending = task_id is None

    def _reference(self, act: Act) -> Reference:
        found = [reference_of(act.said, span) for span in act.slots.get("R", [])]
        if len(found) < 2:
            return found[0] if found else pointed_at(act.tokens)
        parts = () if act.label == "report" else tuple(found)
        return Reference("words", " ".join(act.texts("R")), parts=parts)

    def _resolved(self, act: Act, *, prefer_open: bool = False) -> Match:
        reference = self._reference(act)
        memory = self.memory
        if reference.naming == "pronoun":
            memory = replace(memory, focus=self._told or self._mentioned(act) or memory.focus)
        match = resolve(reference, self.titles, memory, prefer_open=prefer_open)
        return self._told_apart(act, match) if reference.naming == "words" else match

    def _told_apart(self, act: Act, match: Match) -> Match:
        """Of several that fit alike, the one that the rest of the message names."""
        said = f" {plain(act.text)} "
        full = [task for task in match.unclear if f" {task.plain} " in said]
        if len(full) == 1:
            return Match(tuple(full))
        others = [a.text for a in self._all if a.label in {"chat", "report"} and a is not act]
        words = [word for word in content(" ".join(others)) if word not in LIGHT]
        held = best_fits(" ".join(words), Titles(match.unclear), fit_min=0.01) if words else []
        return Match(tuple(held)) if len(held) == 1 else match

    def _mentioned(self, act: Act) -> tuple[int, ...]:
        """The one task that the part or those before speak of: "the trip is off, delete it"."""
        for part in (act, *reversed(self._before)):
            said = part.keys if part is act else [token.key for token in part.tokens]
            keys = [k for k in said if k not in CLASSES_OF and stem(k) not in LIGHT]
            found = best_fits(" ".join(keys), self.titles, fit_min=0.01) if keys else []
            # "That third one was a mistake. Delete it."
            named = [reference_of(act.said, pair) for pair in pairwise(part.tokens)]
            told = {one for one in named if one.naming in {"places", "every"} and not one.plural}
            placed = resolve(told.pop(), self.titles, self.memory).tasks if len(told) == 1 else ()
            if len(found) == 1 or len(placed) == 1:
                return ((placed or tuple(found))[0].id,)
            if part.acting and part is not act:
                break
        return ()

    def _waits(self, act: Act) -> bool:
        """Whether the act is about a task that this turn has yet to add."""
        self.out.awaiting = self._pending and self._reference(act).naming in {"pronoun", "newest"}
        return self.out.awaiting

    def _change(self, act: Act) -> None:
        completing = act.label == "complete"
        if not self._told and self._waits(act):
            return
        match = self._resolved(act, prefer_open=completing)
        self._put_change("complete" if completing else "delete", match, act)
        self._told = ()

    def _only(self, match: Match, verb: Verb, edit: Edit | None = None) -> tuple[Task, ...]:
        """The tasks to change; what stands against it is said or asked, and then there are none."""
        out = self.out
        candidates = match.unclear or (match.tasks if edit and len(match.tasks) > 1 else ())
        if match.pointless:
            out.notes.append("There is no such task on your list, so there was nothing to do.")
        elif candidates:
            question = Question("which", verb, candidates, edit=edit or Edit())
            out.ask(reply.which(verb, candidates), question)
        elif match.missing:
            out.notes.append(reply.absent(match.missing))
        return () if candidates else match.tasks

    def _put_change(self, verb: Verb, match: Match, act: Act) -> None:
        self._verb = verb
        tasks = self._only(match, verb)
        question = Question("whether", verb, tasks)
        if not tasks or self._doubted(act, reply.whether(verb, tasks), question):
            return
        calls = [ToolCall(f"{verb}_task", {"task_id": task.id}) for task in tasks]
        self.out.calls += [call for call in calls if call not in self.out.calls]
        self.memory = replace(self.memory, focus=tuple(task.id for task in tasks))
        reported = [call for call in self._reported if call not in calls]
        self._reported = reported + calls if act.label == "report" else reported

    def _report(self, act: Act, *, ordered: bool) -> None:
        reference = self._reference(act)
        told = told_done(" ".join(act.texts("R")) or act.text, self.titles)
        told = told or told_done(act.text, self.titles)
        still = [task for task in told if not task.completed] or told
        # "Fixed the fence, painted the bench": each name by itself.
        each = [best_fits(name, self.titles) for name in act.texts("R")]
        if len(each) > 1 and all(len(fits) == 1 for fits in each):
            match = Match(tuple(dict.fromkeys(fits[0] for fits in each)))
        else:
            match = Match(tuple(still)) if len(still) == 1 else Match(unclear=tuple(still))
        if reference.naming in {"ids", "places", "every"} or (reference.parts and not match.tasks):
            found = resolve(reference, self.titles, self.memory, prefer_open=True)
            match = found if found.tasks and not found.missing else match
        self._told = (*self._told, *(task.id for task in match.tasks or match.unclear))
        # Which of several is asked by the order that follows, if one does.
        if match.tasks or not ordered:
            self._put_change("complete", match, act)

    def _ask(self, act: Act) -> None:
        match = self._resolved(act)
        found = match.tasks or match.unclear or tuple(told_done(act.text, self.titles))
        self.out.notes.append(reply.state(found, act.first("R")))
        self.out.spoken = tuple(task.id for task in found)

    def _edit(self, act: Act) -> None:
        edit = edit_of(act)
        last = self.out.calls[-1] if self.out.calls else None
        if last and last.name == "add_task" and edit.description and not act.slots.get("R"):
            if edit.description != last.arguments["title"]:
                last.arguments["description"] = edit.description
            return
        if self._waits(act):
            return
        match = self._resolved(act)
        if edit.former and (not act.slots.get("R") or len(match.tasks) != 1):
            former, near = edit.former.casefold(), match.tasks or match.unclear
            among = near if near and act.slots.get("R") else self.titles.tasks
            holding = tuple(task for task in among if former in task.title.casefold())
            if holding or not act.slots.get("R"):
                match = Match(holding) if len(holding) == 1 else Match(unclear=holding)
            if not match.tasks and not match.unclear:
                return
        tasks = self._only(match, "change", edit)
        if not tasks:
            return
        call = edited(edit, tasks[0])
        if call is None:
            self.out.ask(reply.saying("words", tasks[0].title), Question("what", "change", tasks))
        elif not self._doubted(
            act, reply.whether("change", tasks), Question("whether", "change", tasks, edit=edit)
        ):
            if last and last.name == "update_task" and last.arguments["task_id"] == tasks[0].id:
                last.arguments.update(call.arguments)
            else:
                self.out.calls.append(call)
            self.memory = replace(self.memory, focus=(tasks[0].id,))

    def _continue(self, act: Act) -> None:
        """“And the second one too” repeats what was done last, on another task."""
        verb = self._verb if self.out.calls else _ENDING.get(self.did)
        match = self._resolved(act, prefer_open=verb == "complete")
        if verb is not None and (match.tasks or match.unclear):
            self._put_change(verb, match, act)


def _without_called_off(acts: Sequence[Act]) -> list[Act]:
    """“Delete task 2, no wait, don't”: what is taken back was not said."""
    kept: list[Act] = []
    for act in acts:
        if act.label == "calloff":
            while kept and not kept.pop().acting:
                pass
        kept.append(act)
    return kept


def _surer_together(acts: Sequence[Act]) -> list[Act]:
    """“I must call Sam, put that down”: an order that points back, and what it points at.

    Each makes the other surer.
    """
    found = list(acts)
    for place, act in enumerate(found):
        told = {"add": {"duty", "offer"}, "complete": {"report"}}.get(act.label, set())
        back = next((n for n in range(place - 1, -1, -1) if found[n].label in told), None)
        if back is not None and not act.slots:
            one, other = act.margin, found[back].margin
            for n in (place, back):
                found[n] = replace(found[n], margin=max(one, other, one + other))
    return found


def _without_overruled(calls: Sequence[ToolCall], reported: Sequence[ToolCall]) -> list[ToolCall]:
    """Of completing and deleting one task, what was ordered last; a report gives way to any order.

    “The flight got cancelled, delete the airport task”, “The piano is too vague, call it …”.
    """
    ends: dict[object, ToolCall] = {}
    for call in calls:
        task_id = call.arguments.get("task_id")
        if call.name == "update_task" and ends.get(task_id) in reported:
            del ends[task_id]
        elif call.name in _ENDING and (call not in reported or task_id not in ends):
            ends[task_id] = call
    return [c for c in calls if c.name not in _ENDING or c in ends.values()]


_REMARKS: Final = (
    "calloff", "howto", "help", "undo", "reopen", "hold", "yes", "no", "thanks", "bye", "hello",
)  # fmt: skip


def _remark(acts: Sequence[Act]) -> str:
    labels = {act.label for act in acts}
    first = next((label for label in _REMARKS if label in labels), "chat")
    if first == "howto":
        return reply.howto([key for act in acts if act.label == "howto" for key in act.keys])
    meant = labels & {"duty", "complete", "report", "delete", "retitle"}
    return reply.saying("hold" if first == "chat" and meant else first)


def _answer(question: Question, acts: Sequence[Act], said: str) -> Draft | None:
    """The answer to the open question as a draft, or None if the message is no answer."""
    first = acts[0].label
    fresh = [act for act in acts if act.acting and act.label not in {"yes", "pick"}]
    out = Draft()
    if first in {"no", "calloff"} and not fresh:
        out.notes.append(reply.saying("no"))
        return out
    tasks, title, edit = question.candidates, question.title, question.edit
    if question.kind == "whether":
        if first != "yes" and (first != "add" or acts[0].texts("T")):
            return None
    elif question.kind == "what":
        idle = {"help", "howto", "ask", "thanks", "bye", "hello", "hold", "undo", "no"}
        if [a for a in fresh if a.label != "duty"] or first in idle or first.startswith("list"):
            return None
        title = acts[0].first("T") or said.strip(" .!?").removeprefix("to ")
        edit = Edit(title=title)
    else:
        tasks = _chosen(question, acts, said)
        if not tasks:
            return None
    if question.verb == "add":
        out.calls.append(ToolCall("add_task", {"title": title}))
    elif question.verb != "change":
        out.calls += [ToolCall(f"{question.verb}_task", {"task_id": t.id}) for t in tasks]
    else:
        out.calls += [call for task in tasks if (call := edited(edit, task)) is not None]
        if not out.calls:
            out.ask(reply.saying("words", tasks[0].title), Question("what", "change", tasks[:1]))
    return out


def _chosen(question: Question, acts: Sequence[Act], said: str) -> tuple[Task, ...]:
    """The candidates that an answer names: by words, id or place among those shown."""
    candidates = question.candidates
    ids = tuple(task.id for task in candidates)
    titles, memory = Titles(candidates), Memory(focus=ids, shown=ids)
    for act in acts:
        if act.label in {"hello", "thanks", "bye"} and len(acts) > 1:
            continue
        same = _VERBS.get(act.label) == question.verb
        if act.label.startswith("list") or (
            act.acting and act.label not in {"pick", "yes"} and not same
        ):
            return ()
        for span in act.slots.get("R") or [list(act.tokens)]:
            reference = reference_of(said, span)
            if reference.naming == "pronoun" and not reference.plural and len(candidates) > 1:
                continue
            found = resolve(reference, titles, memory)
            if reference.naming == "ids" and found.missing:
                found = resolve(replace(reference, naming="places"), titles, memory)
            if found.tasks and not found.missing and not found.unclear:
                return found.tasks
    return ()
