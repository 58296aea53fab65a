"""Phrases for the title and the description of a task, and for what cannot be undone."""

from taskchat_offline.phrase_words import Effect

UNDOING: tuple[tuple[Effect, str], ...] = (
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
)
"""Wishes to take something back, and the plainest way to name a title."""

DESCRIPTIONS: tuple[tuple[Effect, str], ...] = (
    ("delete", "{task} - > please? <delete> it?"),
    ("complete", "{task} - > <state>"),
    ("field", "<mine>|its <field> of|for|on|in|at {task} is|was|looks|seems all? out? of? <wrong>"),
    ("field", "<mine>|its <field> of|for|on|in|at {task} isn't right|correct|true"),
    ("field", "<mine>|its <field> of|for|on|in|at {task} needs|wants changing|updating|fixing"),
    (
        "field",
        "there's|spotted|see|i've|i|made a|another typo|mistake|error|slip in|with|on {task}",
    ),
    ("field", "i|i've made|spotted|see|got a typo|mistake|error|slip in|with|on {task}"),
    ("field", "{task} has|contains a typo|mistake|error in? it?"),
    ("field", "{task} is|isn't wrong|misspelled|misspelt|incorrect|right|correct"),
    ("field", "{task} has a|the wrong|old|outdated <field>"),
    (
        "remark",
        "note|jot|write|scribble|put|add|stick|pencil down? {value} "
        "on|onto|against|under|beside|to|"
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
    (
        "describe",
        "{task} :|, add|put|write|attach|set|note <det>? <df> :|saying|to|as|that {value}",
    ),
    ("remark", "{task} :|, add|put|write|attach|set|note <det>? <df> {value}"),
    ("remark", "make|set|let the|its <df> of|for|on {task} be? {value}"),
    ("describe", "fill in? the|its|a <df> of|for|on|in {task} in? with|: {value}"),
    ("describe", "{task} <df> is : {value}"),
    ("describe", "{task} <df> should|must|needs to? now|really? to? say|be|read|become|: {value}"),
    (
        "describe",
        "add|attach|put|write|append to|on|for|under {task} <det>? <df> saying|:|that|of {value}",
    ),
    (
        "remark",
        "add|put|attach|set|write|give <det>? new? <df> :|of? {value} to|on|for|under|in {task}",
    ),
    (
        "describe",
        "in|for|on|to|under {task} , add|write|put|note in|to|under|as|into <det>? <df> "
        ":|that {value}",
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
        "<jot> <det>? <df> saying|:|that|reading says? {value} to|on|for|under {task}",
    ),
    ("describe", "<jot> <det>? <df> saying|:|that|reading {value}"),
    (
        "describe",
        "add|attach|put|write|append|include|use|note|jot|set|save|record down? {value} "
        "as a|the|its <df> to|of|for|on {task}",
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
    ("remark", "in|for|on|under {task} , add|write|put|note <det>? <df> {value}"),
    ("describe", "in|for|on|to {task} , set|change the|its <df> to {value}"),
    ("describe", "annotate {task} with {value}"),
    ("describe", "<mine>|its <df> of|for|on {task} should|is|must be?|say|read : {value}"),
    ("describe", "<mine>|its <df> of|for|on {task} should|is|must be|say|read|: {value}"),
)

TITLES: tuple[tuple[Effect, str], ...] = (
    ("retitle", "in|for|on|with {task} <change> the|its <tf> to|into|as {value}"),
    ("retitle", "in|for|on|with {task} , <change> the|its <tf> to|into|as {value}"),
    (
        "swap",
        "i|we wrote|put|typed|said|have|entered|called|named|had down? it|that? as? {old} but|, "
        "it? i|we? meant|mean|wanted|should|must|is|it's now|actually|really? to? have? "
        "say|be|been? "
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
        "in|on|for|with {task} put|write|use|say|have|make|it|should|want it|be? say? "
        "{value} instead|"
        "rather|not of|than? {old}",
    ),
    (
        "replace",
        "in|on|for|with {task} , put|write|use|say|have|make|it|should|want it|be? say? {value} "
        "instead|rather|not of|than? {old}",
    ),
    ("replace", "put|write|use|say {value} instead|rather of|than {old} in|on|for {task}"),
    (
        "replace",
        "{task} should|must|needs to? say|read|be {value} instead|rather|not of|than? {old}",
    ),
    (
        "replace",
        "in|on|for|with {task} <change>|replace|swap|substitute {old} with|to|for|by|into {value}",
    ),
    ("replace", "in|on|for {task} , <change>|replace|swap {old} with|to|for|by|into {value}"),
    ("replace", "replace|swap|substitute|<change> {old} with|by|for|to {value} in {task}"),
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
    (
        "retitle",
        "{task} :|, make|call|have|rename|title it|that|this to|into? say|read|be? {value}",
    ),
    (
        "retitle",
        "i|i'd want|like|would|need like? {task} to|called? read|say|be|become called|named? "
        "{value}",
    ),
    ("append", "append|tack|add {value} to|onto the end|title of {task}"),
    ("append", "append|tack {value} to|onto|on {task}"),
)
