"""The phrases for changing tasks that exist. First match wins, so the narrower come first."""

from collections.abc import Sequence
from typing import Literal

from taskchat.assistant.offline.lexicon import (
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
from taskchat.assistant.offline.pattern import Pattern

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

_PHRASES: tuple[tuple[Effect, str], ...] = (
    # Undoing and other wishes that no tool fulfils.
    ("undo", "undo"),
    ("undo", "undo {x}"),
    ("undo", "revert {x}"),
    ("back", "restore {x}"),
    ("back", "undelete {x}"),
    ("back", "bring {x} back"),
    ("back", "put {x} back"),
    ("undo", "take that back"),
    ("back", "add|put|pop|stick it|that|them|this one? back on|onto|in? <mine>? <list>? again?"),
    ("back", "add|put it|that|them one? again"),
    ("back", "change|rename|set|switch|turn it|that back"),
    ("back", "i|we want|need|would|i'd like? it|that|them back"),
    ("reopen", "<mark> {task} as|to|back? to? as? not <done>"),
    ("reopen", "<mark> {task} back? as|to <open>"),
    ("reopen", "<mark> {task} <open>"),
    ("reopen", "uncheck|untick|unmark|reopen|uncomplete|re-open|reactivate {task}"),
    ("retitle", "<change> <det>? <tf> of|for|on {task} from {old} to {value}"),
    ("retitle", "<change>|give <det>? <tf> of|for|on|in {task} to|into|as|with|: {value}"),
    ("retitle", "<change> its|the <tf> to|as|: {value}"),
    # The description.
    ("delete", "{task} - > please? <delete> it?"),
    ("complete", "{task} - > <state>"),
    ("field", "<mine>|its <field> of|for|on|in|at {task} is|was|looks|seems all? out? of? <wrong>"),
    ("field", "<mine>|its <field> of|for|on|in|at {task} isn't right|correct|true"),
    ("field", "<mine>|its <field> of|for|on|in|at {task} needs|wants changing|updating|fixing"),
    ("field", "there's|spotted|see|i've|i|made a|another typo|mistake|error|slip in|with|on {task}"),
    ("field", "i|i've made|spotted|see|got a typo|mistake|error|slip in|with|on {task}"),
    ("field", "{task} has|contains a typo|mistake|error in? it?"),
    ("field", "{task} is|isn't wrong|misspelled|misspelt|incorrect|right|correct"),
    ("field", "{task} has a|the wrong|old|outdated <field>"),
    (
        "remark",
        "note|jot|write|scribble|put|add|stick|pencil down? {value} on|onto|against|under|beside|to|"
        "in|for {task}",
    ),
    ("undescribe", "<delete> <det>? <df> of|for|on|from|in {task}"),
    ("undescribe", "<delete> {task} <df>"),
    ("describe", "<change>|give|write <det>? <df> of|for|on|in {task} to|into|as|with|: {value}"),
    ("describe", "change|set|update|edit|replace|rewrite the|its? new? <df> to|as|with|: {value}"),
    ("describe", "<change>|give {task} <det>? <df> to|into|as|with|: {value}"),
    ("describe", "give {task} <det>? <df> of|saying|that|: says? {value}"),
    ("describe", "give {task} a|the <df> {value}"),
    ("note", "{task} <df> : {value}"),
    ("describe", "{task} :|, add|put|write|attach|set|note <det>? <df> :|saying|to|as|that {value}"),
    ("remark", "{task} :|, add|put|write|attach|set|note <det>? <df> {value}"),
    ("remark", "make|set|let the|its <df> of|for|on {task} be? {value}"),
    ("describe", "fill in? the|its|a <df> of|for|on|in {task} in? with|: {value}"),
    ("describe", "{task} <df> is : {value}"),
    ("describe", "{task} <df> should|must|needs to? now|really? to? say|be|read|become|: {value}"),
    (
        "describe",
        "add|attach|put|write|append to|on|for|under {task} <det>? <df> saying|:|that|of {value}",
    ),
    ("remark", "add|put|attach|set|write|give <det>? new? <df> :|of? {value} to|on|for|under|in {task}"),
    (
        "describe",
        "in|for|on|to|under {task} , add|write|put|note in|to|under|as|into <det>? <df> :|that {value}",
    ),
    (
        "describe",
        "<jot>|make <det>? new? <df> to|on|in|for|under "
        "{task} saying|:|says|reading|reads|that|, that? says|say|reads|: {value}",
    ),
    (
        "describe",
        "<jot>|make <det>? new? <df> to|on|in|for|under "
        "{task} saying|:|says|reading|reads|that|-|–|— {value}",
    ),
    ("describe", "<jot> <det>? new? <df> to|on|for|under {task} , {value}"),
    (
        "describe",
        "<jot> <det>? <df> saying|:|that|reading says? "
        "{value} to|on|for|under {task}",
    ),
    ("describe", "<jot> <det>? <df> saying|:|that|reading {value}"),
    (
        "describe",
        "add|attach|put|write|append|include|use|note|jot|set|save|record down? {value} as a|the|its <df> to|of|for|on {task}",
    ),
    (
        "describe",
        "add|attach|put|write|append|include {value} to|in|into the|its <df> of|for|on|in {task}",
    ),
    ("describe", "add|attach|put|include the|this <df> :? {value} to|on|for|under {task}"),
    ("describe", "{task} should|must|needs to? have the|a|this <df> : {value}"),
    ("describe", "{task} should|must|needs to? have the|a|this <df> {value}"),
    ("describe", "note|notes|description|comment on|for|of {task} :|-|–|— {value}"),
    ("describe", "{task} needs|wants|gets|should|must have? a|the|this <df> :|of|saying {value}"),
    ("describe", "in|under|as|into the|its <df> of|for|on {task} write|put|add|say|note : {value}"),
    ("describe", "in|under|as|into the|its <df> of|for|on {task} , write|put|add|say|note {value}"),
    ("describe", "in|under|as|into the|its <df> of|for|on {task} write|put|add|say|note {value}"),
    ("describe", "the|its? description|note|notes|details : {value}"),
    ("describe", "describe {task} as {value}"),
    ("describe", "in|for|on|to {task} , add|write|put <det>? <df> saying|:|that {value}"),
    ("describe", "in|for|on|to {task} , set|change the|its <df> to {value}"),
    ("describe", "annotate {task} with {value}"),
    ("describe", "<mine>|its <df> of|for|on {task} should|is|must be?|say|read : {value}"),
    ("describe", "<mine>|its <df> of|for|on {task} should|is|must be|say|read|: {value}"),
    # The state.
    ("complete", "tick|mark|check it|that|this|them off?"),
    ("complete", "tick|check tick|check"),
    ("complete", "put|give|stick|place|leave|add|set {task} a <check>"),
    ("complete", "{task} can|could|should|may|must now|both|all|also? be|go ticked|crossed|checked|struck|marked "
                 "off? as? <state>?"),
    ("complete", "can|could {task} be ticked|crossed|checked|struck|marked off? as? <state>?"),
    ("complete", "{task} :|,|-|–|— please? mark|tick|check it|that? as|off? <state>?"),
    (
        "complete",
        "put|stick|place|leave|add|set|give a|the|another? green|big|little? <check> next|by|beside|"
        "against|on|for|to|alongside|in to|of? {task}",
    ),
    ("complete", "<change> <det>? status|state of|for {task} to|as|on <state>"),
    ("complete", "<mark> {task} down? as|to|=|like being? <state>"),
    ("complete", "mark|set|put|tick as|like|off|down? <state> <mine> task|tasks? of|for? {task}"),
    ("complete", "<mark> {task} down as <state>"),
    ("complete", "we|i|you can|could|may now? <mark> {task} as? <state>"),
    ("complete", "<mark> {task} as|to|= fully|completely|all? <state>"),
    ("complete", "mark|set|put|make|consider|call|log {task} <adv>? <state>"),
    ("complete", "mark as|off|down? as? <state> : {task}"),
    ("complete", "mark as? <state> {task}"),
    ("complete", "mark {task} as? <past>"),
    ("complete", "mark off {task}"),
    ("complete", "mark {task} off"),
    ("complete", "<tick>|strike|scratch <off> {task}"),
    ("complete", "<tick> {task} <off>"),
    ("complete", "<tick> {task} <off> as <state>"),
    ("complete", "<tick> {task} <off> of|from|on? <mine>? to-do|todo|task|tasks? <list>"),
    ("complete", "tick|ticking {task}"),
    ("complete", "tick|check|cross {task} as <state>"),
    # The title.
    ("retitle", "in|for|on|with {task} <change> the|its <tf> to|into|as {value}"),
    ("retitle", "in|for|on|with {task} , <change> the|its <tf> to|into|as {value}"),
    (
        "swap",
        "i|we wrote|put|typed|said|have|entered|called|named|had down? it|that? as? {old} but|, "
        "it? i|we? meant|mean|wanted|should|must|is|it's now|actually|really? to? have? say|be|been? "
        "{value}",
    ),
    ("swap", "it|that says|said|reads {old} but|, it? should|must|needs to? say|be|read {value}"),
    ("swap", "make|call it|that {value} instead|rather of|than {old}"),
    ("swap", "make|call it|that {value} not {old}"),
    ("swap", "{old} should|must|ought to? have been {value}"),
    ("swap", "{old} should've been {value}"),
    ("swap", "{old} should|must instead? be|say|read instead? {value} instead"),
    ("swap", "i meant|mean {value} not|rather|instead than|of? {old}"),
    ("swap", "it's|that's|it|that should|is|needs|must? to? be|say|read? {value} not {old}"),
    (
        "swap",
        "it's|that's|it|that should|is|needs|must? to? be|say|read? {value} rather|instead than|of "
        "{old}",
    ),
    ("swap", "it's|that's not {old} but|, it's|that's? {value}"),
    (
        "replace",
        "in|on|for|with {task} put|write|use|say|have|make|it|should|want it|be? say? {value} instead|"
        "rather|not of|than? {old}",
    ),
    (
        "replace",
        "in|on|for|with {task} , put|write|use|say|have|make|it|should|want it|be? say? {value} "
        "instead|rather|not of|than? {old}",
    ),
    ("replace", "put|write|use|say {value} instead|rather of|than {old} in|on|for {task}"),
    ("replace", "{task} should|must|needs to? say|read|be {value} instead|rather|not of|than? {old}"),
    (
        "replace",
        "in|on|for|with {task} <change>|replace|swap|substitute {old} with|to|for|by|into {value}",
    ),
    ("replace", "in|on|for {task} , <change>|replace|swap {old} with|to|for|by|into {value}"),
    ("replace", "replace|swap|change|substitute {old} with|by|for|to {value} in {task}"),
    ("retitle", "<change> {task} <tf> to|into|as|: {value}"),
    ("retitle", "give {task} a|the new? <tf> of|: {value}"),
    ("retitle", "give {task} a|the new? <tf> {value}"),
    ("retitle", "<change>|have {task} so that? it's called|named {value}"),
    (
        "retitle",
        "<change>|have {task} so that? it|that|they? says|reads|is|becomes|say|read "
        "called|named? : {value}",
    ),
    ("retitle", "<change>|have {task} so that? it says|reads|is|becomes called|named? {value}"),
    ("retitle", "<change>|have {task} to? say|read|be called|named|: {value}"),
    ("retitle", "<change>|have {task} to? say|read|be {value}"),
    ("retitle", "<change>|rename {task} from {old} to|into {value}"),
    ("retitle", "<rename> {task} to|as|into|: be? {value}"),
    ("retitle", "rename|retitle {task} , {value}"),
    ("retitle", "{task} :|, <change> it|the|its? <tf>? to|into|as {value}"),
    ("move", "<change> the? time|date|day of|for {task} to|: {value}"),
    ("move", "<change> {task} time|date|day to {value}"),
    ("retitle", "<change> {task} -|= > {value}"),
    ("retitle", "<change> {task} → {value}"),
    ("swap", "{old} -|= > {value}"),
    ("swap", "{old} → {value}"),
    ("swap", "instead of {old} , it|that should|must|needs to? say|be|read {value}"),
    ("swap", "instead of {old} it|that should|must|needs to? say|be|read {value}"),
    ("retitle", "switch|swap|replace {task} to|for|with|by {value}"),
    ("retitle", "make {task} into {value}"),
    (
        "retitle",
        "shorten|lengthen|simplify|extend|expand|reduce|bump|trim|abbreviate {task} down? "
        "to {value}",
    ),
    ("move", "<resched> {task} forward|back? to|until|till|for {value}"),
    (
        "retitle",
        "change|update|edit|modify|alter|correct|amend|revise|adjust|fix|turn|convert|set|"
        "tweak|changing|updating|editing|switch {task} to|into|: {value}",
    ),
    ("retitle", "make|call it|that|this {value}"),
    ("retitle", "call {task} {value} instead"),
    ("retitle", "call it|that|this {value}"),
    ("retitle", "<rename> <mine> task {task} in {value}"),
    ("name", "<rename>|call|make {task} {value}"),
    (
        "retitle",
        "{task} should|needs|must|ought|has to? now|really|actually? read|say|become|be? "
        "called|named|renamed|retitled|titled|changed|reworded|updated to|as|into? {value}",
    ),
    (
        "retitle",
        "{task} should|needs|must|ought to? now|really|actually? read|say|become|be {value}",
    ),
    ("retitle", "{task} is now called|named {value}"),
    (
        "retitle",
        "i|i'd|we want|need|like|would like? {task} to? be? renamed|changed|retitled|reworded "
        "to|as|into {value}",
    ),
    ("retitle", "i'd rather|prefer|like if? {task} to? was|were|be called|named {value}"),
    ("retitle", "can|could {task} become|say|read {value}"),
    ("retitle", "can|could {task} be renamed|changed|called|reworded|named to|as|into? {value}"),
    ("retitle", "{task} :|, make|call|have|rename|title it|that|this to|into? say|read|be? {value}"),
    (
        "retitle",
        "i|i'd want|like|would|need like? {task} to|called? read|say|be|become called|named? "
        "{value}",
    ),
    ("append", "append|tack|add {value} to|onto the end|title of {task}"),
    ("append", "append|tack {value} to|onto|on {task}"),
    # Deletion.
    ("unwanted", "<we> <dont> need|want|have|require to? {task} <anymore>"),
    ("unwanted", "<we> <dont> need|want|have|require to? {task} any more|longer"),
    ("unwanted", "<we> <dont> need|want more|longer the? {task}"),
    ("unwanted", "don't|no need|want|longer need|want? {task} <anymore>"),
    ("unwanted", "don't|no need|want|longer need|want? {task} any more|longer"),
    ("unwanted", "no longer need|want {task}"),
    ("unwanted", "<we> no longer|more need|want|have|require to? {task}"),
    ("unwanted", "there's? no need to|for? {task} <anymore>"),
    ("unwanted", "there's? no need to|for? {task} any more|longer"),
    ("unwanted", "there's? no longer any? need to|for {task}"),
    ("unwanted", "{task} <isnt> <needed> <anymore>"),
    ("unwanted", "{task} <isnt> <needed> any more|longer"),
    ("unwanted", "{task} is|are no longer <needed>"),
    ("unwanted", "{task} is|are obsolete|redundant|irrelevant|superfluous"),
    ("offer_delete", "i don't need|want|have the? {task} now"),
    ("delete", "get|getting rid of {task}"),
    ("delete", "say goodbye|bye|farewell to {task}"),
    ("delete", "{task} :|,|-|–|— please? <delete> it|that|this?"),
    ("delete", "{task} can|could|should|may|must now|both|all|also? come|go|be off|taken|struck|removed|binned off? "
               "<mine>? to-do|todo|task? <list>?"),
    ("delete", "{task} can|could|should|may|must now|both|all|also? come|go|be off|taken|struck|removed|binned from|"
               "off of? <mine>? to-do|todo|task? <list>"),
    ("delete", "can|could {task} be|go|come deleted|removed|erased|off|binned|away off? <mine>? "
               "<list>?"),
    ("delete", "get|getting {task} off|out of? <mine>? to-do|todo|task|tasks|to? do? <list>?"),
    ("delete", "have|make {task} disappear|vanish|removed|deleted|erased"),
    ("delete", "make {task} go away"),
    ("delete", "do|done away with {task}"),
    ("delete", "take|pull|knock {task} off|out of? it|there|<mine>? to-do|todo|task|tasks|to? do? <list>?"),
    ("delete", "take|throw|toss|chuck|cross <off> {task}"),
    ("delete", "throw|toss|chuck {task} out|away"),
    ("delete", "<delete> out|off? {task}"),
    ("delete", "lose|forget about? {task}"),
    ("delete", "nevermind about? {task}"),
    ("delete", "never mind about? {task}"),
    ("delete", "empty|reset {task}"),
    ("delete", "i want|need|would|i'd like? {task} gone|deleted|removed|erased"),
    ("delete", "i'd like {task} gone|deleted|removed|erased"),
    ("delete", "have {task} deleted|removed|erased"),
    (
        "delete",
        "{task} can|should|needs|must|has to? be|go deleted|removed|erased|scrapped|dropped",
    ),
    ("delete", "{task} can|should|needs|must|has to? go"),
    ("delete", "{task} needs deleting|removing"),
)

_COMPLETIONS: tuple[tuple[Effect, str], ...] = (
    ("complete", "<finish> up|off|out? {task}"),
    ("complete", "knock|knocking out|off {task}"),
    ("told", "<i> have|had|just|already|finally|now* got|had {task} <state>|done"),
    ("told", "<ive> <adv>* got|had|gotten {task} <adv>* <state>|done"),
    ("told", "got {task} <adv>* <state>|done"),
    ("told", "got {task} out of the way"),
    ("told", "<i>|<ive> have? <adv>* got {task} out of the way"),
    ("told", "<i> have? <adv>* took|taken care of {task}"),
    ("told", "<ive> <adv>* taken care of {task}"),
    ("told", "took care of {task}"),
    ("told", "that's|it's me|us done|finished|sorted|through with|for {task}"),
    ("told", "<adv>* managed to {task}"),
    ("told", "mission accomplished|complete on|with|for|: {task}"),
    ("told", "{task} :|-|–|— <past>"),
    ("told", "{task} ✅|✔|☑|✓|👍"),
    ("told", "✅|✔|☑|✓ {task}"),
    ("told", "<i> have? <adv>* knocked|ticked|checked|crossed|marked out|off {task}"),
    ("told", "<ive> <adv>* knocked|ticked|checked|crossed|marked out|off {task}"),
    ("told", "knocked|ticked|checked|crossed out|off {task}"),
    ("told", "<i>|<ive> have? <adv>* dealt|done|finished with {task}"),
    ("told", "<i>|<ive> have? <adv>* got|gotten done|finished with|through {task}"),
    ("told", "<i>|<ive> have? <adv>* got|gotten through|around|round to? {task}"),
    ("told", "<adv>* got through|around|round to? {task}"),
    ("told", "<i>|<ive> have? did|managed to finish|complete|do {task}"),
    ("told", "<i> have|am|did|managed? <adv>* <didverb> up|off|with|doing? {task}"),
    ("told", "<ive>|<im> <adv>* <didverb>|through up|off|with|doing|out? {task}"),
    ("told", "<adv>* done|finished|completed|through|sorted with|doing|up? {task}"),
    ("told", "<adv>* <didverb> with|up|off? {task}"),
    ("told", "<be> <adv>* done|finished|through with {task}"),
    ("told", "that's|it's <adv>* <state> {task}"),
    ("told", "<state> : {task}"),
    ("told", "{task} <be>|has|have|got|gets been? <adv>* <state> <adv>*"),
    ("told", "{task} <be>|has|have been? <adv>* <state> and dusted"),
    ("told", "{task} <be>|has|have been? <adv>* taken care of"),
    ("told", "{task} <be>|has|have been? <adv>* out of the way"),
    ("told", "{task} <be>|has|have been? <adv>* dealt with"),
    ("told", "{task} <be>|has|have been? <adv>* ticked|checked|crossed off"),
    ("told", "{task} <be>|has <adv>* in the bag"),
    ("told", "{task} ticked|checked|crossed off"),
    ("told", "{task} <be>|has <adv>* behind me"),
    ("told", "that's|it's <adv>* <state>"),
    ("told", "{task} <adv>* done|finished|completed|complete|sorted"),
)


def compiled(phrases: Sequence[tuple[Effect, str]]) -> tuple[tuple[Effect, Pattern], ...]:
    """Phrases ready to match, in the order given."""
    return tuple((effect, Pattern(phrase, CLASSES)) for effect, phrase in phrases)


CHANGES = compiled(_PHRASES)
"""Requests to edit, complete or delete."""

COMPLETIONS = compiled(_COMPLETIONS)
"""Requests to complete by a bare verb, and reports of completion."""
