"""What a message's acts come to: calls, remarks, a question. A doubt becomes a question."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from taskchat_offline import reply, rewording
from taskchat_offline.features import Context
from taskchat_offline.history import CHANGING, Turn, memory_of, tasks_of
from taskchat_offline.learned import load
from taskchat_offline.matching import Task, Titles, best_fits
from taskchat_offline.reading import Act, read
from taskchat_offline.references import (
    Match,
    Memory,
    Reference,
    pointed_at,
    reference_of,
    resolve,
    same_deed,
    told_done,
)

BACK_MAX: Final = 3
"""Turns back to which a question is followed."""

Verb = Literal["add", "complete", "delete", "change"]

_VERBS: Final[dict[str, Verb]] = {
    "add": "add", "duty": "add", "complete": "complete", "report": "complete",
    "delete": "delete", "retitle": "change", "describe": "change",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call to make."""

    name: str
    arguments: dict[str, object]


@dataclass(frozen=True, slots=True)
class Edit:
    """New words for a task.

    Attributes:
        title: The new title, or what takes the place of `former`.
        description: The new description; empty to clear it.
        former: The part of the title that is wrong.
        appended: Whether `title` goes behind the title there is.
    """

    title: str = ""
    description: str | None = None
    former: str = ""
    appended: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """What the assistant asked.

    Attributes:
        kind: "which" of the candidates; "whether" to do it at all; "what" the words should be.
        verb: What is to be done.
        candidates: The tasks it could be about, or is about.
        title: The title to add.
        edit: The change to make.
    """

    kind: Literal["which", "whether", "what"]
    verb: Verb
    candidates: tuple[Task, ...] = ()
    title: str = ""
    edit: Edit = field(default_factory=Edit)


@dataclass(frozen=True, slots=True)
class Show:
    """A list to show; `words` narrows it, `counted` tells how many."""

    status: str = "all"
    words: str = ""
    counted: bool = False


@dataclass(slots=True)
class Draft:
    """Calls in the order asked for, and what to say besides.

    Attributes:
        calls: The calls.
        notes: Sentences for the reply.
        shows: Lists to show.
        question: What is asked.
        spoken: Tasks that the notes speak of.
        awaiting: Whether more calls follow once a new task has its id.
    """

    calls: list[ToolCall] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    shows: list[Show] = field(default_factory=list)
    question: Question | None = None
    spoken: tuple[int, ...] = ()
    awaiting: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """What the conversation has led to, before a message.

    Attributes:
        memory: What was spoken of and shown.
        question: What was asked last.
        did: The tool that changed something last in the turn before.
    """

    memory: Memory
    question: Question | None = None
    did: str = ""

    @property
    def context(self) -> Context:
        """What the model is told of it."""
        return Context(self.question.kind if self.question else "", self.did)


def state_after(earlier: Sequence[Turn], depth: int = 0) -> State:
    """The state after these turns: each is worked out again, nothing is kept."""
    memory = memory_of(earlier)
    if not earlier or depth >= BACK_MAX:
        return State(memory)
    last = earlier[-1]
    names = [step.name for step in last.steps if step.name in CHANGING and step.result is not None]
    listed = [step.name for step in last.steps if step.name == "list_tasks"]
    if names:
        return State(memory, None, names[-1])
    draft = draft_of(
        last, state_after(earlier[:-1], depth + 1), acts_of(last, earlier[:-1], depth + 1)
    )
    if draft.spoken and not draft.shows:
        memory = replace(memory, focus=draft.spoken)
    return State(memory, draft.question, "list_tasks" if listed and draft.shows else "")


def titles_of(turn: Turn) -> Titles:
    """The list as the turn saw it first; empty if it didn't look."""
    lists = [step for step in turn.steps if step.name == "list_tasks"]
    return Titles(tasks_of(lists[0]) if lists else [])


def acts_of(turn: Turn, earlier: Sequence[Turn], depth: int = 0) -> list[Act]:
    """What the turn's message asks for, read with what is known of the list by now."""
    lists = [step for step in turn.steps if step.name == "list_tasks"]
    whole = lists and lists[0].arguments.get("status", "all") == "all"
    titles = titles_of(turn) if whole else Titles([])
    return read(turn.said, titles, state_after(earlier, depth).context, load())


def draft_of(turn: Turn, state: State, acts: Sequence[Act]) -> Draft:
    """All that a message comes to, given the list as it was when the turn began."""
    answered = _answered(state, acts, titles_of(turn), turn.said) if state.question else None
    if answered is not None:
        return answered
    return _Drafting(turn, state).draft(acts)


class _Drafting:
    """Goes through the acts of one message."""

    def __init__(self, turn: Turn, state: State) -> None:
        self.out = Draft()
        self.state = state
        self.memory = state.memory
        self.titles = titles_of(turn)
        self.margin_min = load().margin_min
        self._created = [step for step in turn.steps if step.name == "add_task"]
        self._added = 0
        self._pending_add = False
        self._told: tuple[int, ...] = ()
        self._duty = ""
        self._reported: list[ToolCall] = []
        self._verb: Verb | None = None
        self._before: list[Act] = []

    def draft(self, acts: Sequence[Act]) -> Draft:
        """The calls and remarks of all acts, in order."""
        acts = _without_called_off(acts)
        ordered = any(
            a.label in {"complete", "delete"} and a.margin >= self.margin_min for a in acts
        )
        for place, act in enumerate(acts):
            if self.out.awaiting:
                break
            if self.out.calls:
                ids = [call.arguments.get("task_id") for call in self.out.calls]
                acted = tuple(n for n in ids if isinstance(n, int))
                self.memory = replace(self.memory, acted=acted)
            self._take(act, acts[place + 1 :], ordered=ordered)
            self._before.append(act)
        return self._closed(acts)

    def _take(self, act: Act, later: Sequence[Act], *, ordered: bool) -> None:
        match act.label:
            case "add" | "duty":
                self._add(act, later)
            case "complete" | "delete":
                self._change(act)
            case "report":
                self._report(act, ordered=ordered)
            case "retitle" | "describe":
                self._edit(act)
            case "list all" | "list pending" | "list completed":
                status = act.label.removeprefix("list ")
                self.out.shows.append(
                    Show(status, act.first("W"), "many" in act.keys or "much" in act.keys)
                )
            case "ask":
                self._ask(act)
            case "offer":
                self._duty = act.first("T") or act.text
            case "pick":
                self._continue(act)

    def _closed(self, acts: Sequence[Act]) -> Draft:
        out = self.out
        gone = [call.arguments for call in out.calls if call.name == "delete_task"]
        # "The flight got cancelled, delete the airport task": a reason is no completion.
        out.calls = [
            call
            for call in out.calls
            if not (
                call in self._reported and call.name == "complete_task" and call.arguments in gone
            )
        ]
        if out.calls or out.notes or out.shows or out.question:
            return out
        offered = [act for act in acts if act.label == "offer"]
        if len(offered) == 1 and not any(act.label in {"hold", "no"} for act in acts):
            title = offered[0].first("T") or offered[0].text
            out.notes.append(f"Shall I add {reply.named(reply.clipped(title))} to your list?")
            out.question = Question("whether", "add", title=title)
            return out
        out.notes.append(_remark(acts))
        held = [act for act in acts if act.label in {"hold", "ask"}]
        near = told_done(held[-1].text, self.titles) if held else []
        if len(near) == 1:
            out.spoken = (near[0].id,)
        return out

    def _doubtful(self, act: Act) -> bool:
        return act.margin < self.margin_min

    def _add(self, act: Act, later: Sequence[Act]) -> None:
        wanted = act.texts("T")
        if not wanted and self._duty:
            wanted = [self._duty]
        if not wanted:
            if act.label == "add" and not self.out.calls:
                self.out.notes.append("What should the task be?")
                self.out.question = Question("what", "add")
            return
        if act.label == "duty" and any(a.label == "add" and not a.texts("T") for a in later):
            self._duty = wanted[0]
            return
        if self._doubtful(act) and act.label == "duty":
            self._duty = wanted[0]
        if self._doubtful(act) and not self.out.calls:
            self.out.notes.append(
                f"Shall I add {reply.named(reply.clipped(wanted[0]))} to your list?"
            )
            self.out.question = Question("whether", "add", title=wanted[0])
            return
        for place, title in enumerate(wanted):
            same = same_deed(title, self.titles) if act.label == "duty" else []
            if same:
                self.out.notes.append(f"{reply.named(same[0].title)} is already on your list.")
                continue
            arguments: dict[str, object] = {"title": title}
            if place == len(wanted) - 1 and act.first("D"):
                arguments["description"] = act.first("D")
            self._put_add(arguments)
        self._duty = ""

    def _put_add(self, arguments: dict[str, object]) -> None:
        self.out.calls.append(ToolCall("add_task", arguments))
        if self._added < len(self._created):
            task_id = self._created[self._added].task_id
            if task_id is not None:
                new = Task(task_id, str(arguments["title"]))
                self.titles = Titles([*self.titles.tasks, new])
                self.memory = replace(self.memory, newest=task_id, focus=(task_id,))
        else:
            self._pending_add = True
        self._added += 1

    def _reference(self, act: Act) -> Reference:
        spans = act.slots.get("R", [])
        if not spans:
            return pointed_at(act.tokens)
        found = [reference_of(act.said, span) for span in spans]
        if len(found) == 1:
            return found[0]
        words = " ".join(act.texts("R"))
        if act.label == "report":
            return Reference("words", words)
        return Reference("words", words, parts=tuple(found))

    def _resolved(self, act: Act, *, prefer_open: bool = False) -> Match:
        reference = self._reference(act)
        memory = self.memory
        if reference.naming == "pronoun":
            memory = replace(memory, focus=self._told or self._mentioned() or memory.focus)
        return resolve(reference, self.titles, memory, prefer_open=prefer_open)

    def _mentioned(self) -> tuple[int, ...]:
        """The one task that the parts before speak of: "the trip is off, delete it"."""
        for act in reversed(self._before):
            found = best_fits(act.text, self.titles, fit_min=0.01)
            if len(found) == 1:
                return (found[0].id,)
            if act.acting:
                break
        return ()

    def _waits(self, act: Act) -> bool:
        """Whether the act is about a task that this turn has yet to add."""
        if not self._pending_add or self._reference(act).naming not in {"pronoun", "newest"}:
            return False
        self.out.awaiting = True
        return True

    def _change(self, act: Act) -> None:
        completing = act.label == "complete"
        if not self._told and self._waits(act):
            return
        match = self._resolved(act, prefer_open=completing)
        if match.missing and not match.tasks and completing:
            told = told_done(act.text, self.titles)
            match = Match(tuple(told)) if len(told) == 1 else match
        self._put_change("complete" if completing else "delete", match, act)

    def _put_change(self, verb: Verb, match: Match, act: Act) -> None:
        out = self.out
        self._verb = verb
        if match.pointless:
            out.notes.append("There is no such task on your list, so there was nothing to do.")
            return
        if match.unclear:
            out.notes.append(reply.which(verb, match.unclear))
            out.question = Question("which", verb, match.unclear)
            return
        if match.missing:
            out.notes.append(reply.absent(match.missing))
        if match.tasks and self._doubtful(act):
            named = reply.joined([reply.named(task.title) for task in match.tasks])
            done = "mark {} as done" if verb == "complete" else "delete {}"
            out.notes.append(f"Shall I {done.format(named)}?")
            out.question = Question("whether", verb, match.tasks)
            return
        self._put_calls(verb, match.tasks)
        self.memory = replace(
            self.memory, focus=tuple(t.id for t in match.tasks) or self.memory.focus
        )
        self._told = ()

    def _put_calls(self, verb: Verb, tasks: Sequence[Task]) -> None:
        for task in tasks:
            call = ToolCall(f"{verb}_task", {"task_id": task.id})
            if call not in self.out.calls:
                self.out.calls.append(call)

    def _report(self, act: Act, *, ordered: bool) -> None:
        reference = self._reference(act)
        if reference.naming in {"ids", "places", "every"}:
            match = resolve(reference, self.titles, self.memory, prefer_open=True)
        else:
            said = " ".join(act.texts("R")) or act.text
            told = told_done(said, self.titles) or told_done(act.text, self.titles)
            still = [task for task in told if not task.completed] or told
            if len(still) > 1 and reference.parts:
                match = resolve(reference, self.titles, self.memory, prefer_open=True)
            elif len(still) > 1:
                match = Match(unclear=tuple(still))
            else:
                match = Match(tuple(still))
            if not told and reference.parts:
                match = resolve(reference, self.titles, self.memory, prefer_open=True)
                match = match if match.tasks and not match.missing else Match()
        if match.tasks:
            self._told = (*self._told, *(task.id for task in match.tasks))
            before = len(self.out.calls)
            self._put_quietly(act, match)
            self._reported += self.out.calls[before:]
        elif match.unclear and not ordered and not self._doubtful(act):
            self.out.notes.append(reply.which("complete", match.unclear))
            self.out.question = Question("which", "complete", match.unclear)
        elif match.unclear:
            self._told = tuple(task.id for task in match.unclear)

    def _put_quietly(self, act: Act, match: Match) -> None:
        told = self._told
        self._put_change("complete", match, act)
        self._told = told

    def _ask(self, act: Act) -> None:
        match = self._resolved(act)
        found = match.tasks or match.unclear or tuple(told_done(act.text, self.titles))
        if found:
            self.out.notes.append(reply.state(found))
            self.out.spoken = tuple(task.id for task in found)
        else:
            words = reply.named(reply.clipped(act.first("R")))
            about = f"no task about {words}" if act.first("R") else "no such task"
            self.out.notes.append(f"No, I see {about} on your list.")

    def _edit(self, act: Act) -> None:
        edit = _edit_of(act)
        last = self.out.calls[-1] if self.out.calls else None
        if last and last.name == "add_task" and edit.description and not act.slots.get("R"):
            last.arguments["description"] = edit.description
            return
        if self._waits(act):
            return
        match = self._resolved(act)
        if not act.slots.get("R") and edit.former:
            holding = [t for t in self.titles.tasks if edit.former.casefold() in t.title.casefold()]
            match = Match(tuple(holding)) if len(holding) == 1 else Match(unclear=tuple(holding))
            if not holding:
                return
        self._put_edit(edit, match, act)

    def _put_edit(self, edit: Edit, match: Match, act: Act) -> None:
        out = self.out
        if match.pointless:
            out.notes.append("Your list holds no such task, so I changed nothing.")
            return
        if match.unclear or len(match.tasks) > 1:
            out.notes.append(reply.which("change", match.unclear or match.tasks))
            out.question = Question("which", "change", match.unclear or match.tasks, edit=edit)
            return
        if not match.tasks:
            out.notes.append(reply.absent(match.missing))
            return
        task = match.tasks[0]
        if not edit.title and edit.description is None:
            out.notes.append(f"What should {reply.named(task.title)} say instead?")
            out.question = Question("what", "change", (task,))
            return
        call = edited(edit, task)
        if call is None:
            out.notes.append(
                f"{reply.named(task.title)} doesn't say {reply.named(edit.former)}, so I left it."
            )
            return
        if self._doubtful(act):
            out.notes.append(f"Shall I change {reply.named(task.title)}?")
            out.question = Question("whether", "change", (task,), edit=edit)
            return
        last = out.calls[-1] if out.calls else None
        if last and last.name == "update_task" and last.arguments["task_id"] == task.id:
            last.arguments.update(call.arguments)
        else:
            out.calls.append(call)
        self.memory = replace(self.memory, focus=(task.id,))

    def _continue(self, act: Act) -> None:
        """“And the second one too” repeats what the last turn did, on another task."""
        names: dict[str, Verb] = {"complete_task": "complete", "delete_task": "delete"}
        verb = self._verb if self.out.calls else names.get(self.state.did)
        if verb is not None:
            match = self._resolved(act, prefer_open=verb == "complete")
            if match.tasks or match.unclear:
                self._put_change(verb, match, act)


def _edit_of(act: Act) -> Edit:
    if act.label == "describe":
        empty = not act.first("D") and set(act.keys) & {
            "clear",
            "remove",
            "delete",
            "erase",
            "empty",
            "drop",
        }
        return Edit(description="" if empty else act.first("D") or None)
    if act.first("P"):
        return Edit(title=act.first("P"), appended=True)
    return Edit(title=act.first("N"), former=act.first("F"))


def edited(edit: Edit, task: Task) -> ToolCall | None:
    """The call that makes the change; None if the title does not say what is to be replaced."""
    arguments: dict[str, object] = {"task_id": task.id}
    if edit.title:
        title = rewording.new_title(task.title, edit.title, edit.former, appended=edit.appended)
        if not title:
            return None
        arguments["title"] = title
    if edit.description is not None:
        arguments["description"] = edit.description
    return ToolCall("update_task", arguments)


def _without_called_off(acts: Sequence[Act]) -> list[Act]:
    """“Delete task 2, no wait, don't”: what is taken back was not said."""
    kept: list[Act] = []
    for act in acts:
        if act.label == "calloff" and kept:
            while kept and not kept[-1].acting:
                kept.pop()
            if kept:
                kept.pop()
        kept.append(act)
    return kept


_REMARKS: Final = ("howto", "help", "undo", "reopen", "hold", "yes", "no", "thanks", "bye", "hello")


def _remark(acts: Sequence[Act]) -> str:
    labels = {act.label for act in acts}
    if "calloff" in labels:
        return reply.saying("no")
    first = next((label for label in _REMARKS if label in labels), "chat")
    if first == "howto":
        words = [key for act in acts if act.label == "howto" for key in act.keys]
        return reply.howto(words)
    if first == "chat" and any(
        act.label in {"duty", "complete", "report", "delete"} for act in acts
    ):
        return reply.saying("hold")
    return reply.saying(first)


def _answered(state: State, acts: Sequence[Act], titles: Titles, said: str) -> Draft | None:
    """The answer to the open question as a draft, or None if the message is no answer."""
    question = state.question
    if question is None or not acts:
        return None
    labels = [act.label for act in acts]
    out = Draft()
    if labels[0] in {"no", "calloff"} and not any(
        act.acting and act.label != "yes" for act in acts
    ):
        out.notes.append(reply.saying("no"))
        return out
    if question.kind == "whether":
        return _confirmed(question, acts, out)
    if question.kind == "what":
        if any(act.acting and act.label not in {"pick", "yes", "duty"} for act in acts) or (
            labels[0].startswith("list") or labels[0] in {"help", "howto", "ask", "thanks", "bye"}
        ):
            return None
        text = acts[0].first("T") or said.strip(" .!?")
        if question.verb == "add":
            out.calls.append(ToolCall("add_task", {"title": text}))
        elif text.casefold().startswith("to "):
            out.calls += _calls_for(question, question.candidates, Edit(title=text[3:]))
        else:
            out.calls += _calls_for(question, question.candidates, Edit(title=text))
        return out
    chosen = _chosen(question, acts, said)
    if chosen is None:
        return None
    out.calls += _calls_for(question, chosen, question.edit)
    if not out.calls and question.verb == "change" and len(chosen) == 1:
        out.notes.append(f"What should {reply.named(chosen[0].title)} say instead?")
        out.question = Question("what", "change", chosen)
    return out if out.calls or out.question else None


def _confirmed(question: Question, acts: Sequence[Act], out: Draft) -> Draft | None:
    named = acts[0].label == "add" and not acts[0].texts("T")
    if acts[0].label != "yes" and not named:
        return None
    if question.verb == "add":
        out.calls.append(ToolCall("add_task", {"title": question.title}))
    else:
        out.calls += _calls_for(question, question.candidates, question.edit)
    return out


def _calls_for(question: Question, tasks: Sequence[Task], edit: Edit) -> list[ToolCall]:
    if question.verb == "change":
        if not edit.title and edit.description is None:
            return []
        found = (edited(edit, task) for task in tasks)
        return [call for call in found if call is not None]
    return [ToolCall(f"{question.verb}_task", {"task_id": task.id}) for task in tasks]


def _chosen(question: Question, acts: Sequence[Act], said: str) -> tuple[Task, ...] | None:
    """The candidates that an answer names: by words, id or place among those shown."""
    candidates = question.candidates
    ids = tuple(task.id for task in candidates)
    titles = Titles(candidates)
    memory = Memory(focus=ids, shown=ids)
    for act in acts:
        same = _VERBS.get(act.label) == question.verb
        if act.label in {"hello", "thanks", "bye"} or act.label.startswith("list"):
            continue
        if act.acting and act.label not in {"pick", "yes"} and not same:
            return None
        spans = act.slots.get("R") or [list(act.tokens)]
        for reference in [reference_of(said, span) for span in spans]:
            if reference.naming == "pronoun" and not reference.plural and len(candidates) > 1:
                continue
            found = resolve(reference, titles, memory)
            if reference.naming == "ids" and found.missing:
                found = resolve(replace(reference, naming="places"), titles, Memory(shown=ids))
            if found.tasks and not found.missing and not found.unclear:
                return found.tasks
    return None
