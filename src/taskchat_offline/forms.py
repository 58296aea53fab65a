"""The set forms of orders: sentences with gaps, read in this order by `templates`."""

import re

_OPENING = (
    r"^(?:(?:oops|hey|hi|ok|okay|so|um|uh|please|kindly|and|also|oh|sorry|actually|now|well|just|"
    r"can you|could you|would you|will you|can we|i'd like you to|i want you to|i need you to|"
    r"i'd like to|i want to|let's)[ ,:!-]+)*"
)
_CLOSING = (
    r"(?:[ ,]+(?:please|thanks|thank you|cheers|ta|for me|would you|will you|if you can))*[ .!?]*$"
)
_ASIDE = r"(?:,? (?:please|would you|will you|could you|can you))?"
_FIELD = r"(?:description|desc|notes?|details?)"
_NAME = r"(?:title|name)"
_CHANGE = r"(?:amend|change|fix|update|correct|edit|modify|alter|adjust|revise)"
_LABELLED = (
    r"(?:#\s?\d+|(?:task |number |no\.? |item |task number )(?:#\s?)?(?:\d+|one|two|three|four|"
    r"five|"
    r"six|seven|eight|nine|ten)|(?:the |my )?(?:[^,;:\"'“”]{1,50} )?(?:one|task|item|reminder)|"
    r"(?:the )?(?:first|second|third|fourth|fifth|last|\d(?:st|nd|rd|th)))"
)
_SAYS = (
    r"(?:it's|it is|it should be|it should say|that should be|it should read|make it|it must be)"
)
_REMOVE = r"(?:remove|delete|drop|take out|lose|cut|strip|erase|scrap|get rid of|omit|leave out)"
_CLEAR = rf"(?:{_REMOVE}|clear(?: out)?|blank(?: out)?|wipe(?: out)?|empty|take off)"
_KEEPING = r"(?:[,;.-]+ ?(?:but |and |just )?(?:keep|leave|not) [^?.]{0,60}?)?"
_WRITE = r"(?:jot(?: down)?|write(?: down)?|put(?: down)?|note(?: down)?|add|stick|pop|set|type)"
_GLUE = r"(?::|-|–|—|=| as| to| is| that says| saying)?"

_SENTENCES = (
    ("blank", rf"{_CLEAR} (?:the |its |any |all )?{_FIELD} (?:of|from|on|for|off|in) "
              rf"(?P<task>[^:?]+?){_KEEPING}"),
    ("blank", rf"(?:make|leave|set) (?:the )?{_FIELD} (?:of|on|for) (?P<task>[^:?]+?)(?: to)? "
              r"(?:empty|blank|nothing)"),
    ("blank", rf"{_CLEAR} (?P<task>[^:?]+?)'s {_FIELD}{_KEEPING}"),
    ("blank", rf"{_CLEAR} (?P<task>(?:the|my) [^:?]+? (?:task|one)) {_FIELD}{_KEEPING}"),
    ("blank", rf"i (?:don't|do not|no longer) (?:want|need) (?:any |a |the )?{_FIELD} (?:on|for|in|"
              rf"of|with) (?P<task>[^,.;:?]+?)(?: any ?more| any longer)?[,.;-]+ ?(?:so |please )?"
              r"(?:just )?(?:blank|clear|wipe|remove|delete|take|empty|erase) (?:it|that|them)?"
              r"(?: out| off| away)?"),
    ("describe", rf"(?:put|write|add|stick|note|enter|set|use|pop|place) (?:this|the following|"
                 rf"that)"
                 rf" (?:in|into|to|as|under|for) (?:the |its )?{_FIELD} (?:of|for|on|in) "
                 r"(?P<task>[^:]+?) ?(?::| - | – | — ) ?(?P<described>.+)"),
    ("describe", rf"(?:for|on) (?P<task>[^,:]+?),? (?:can you |could you |please |would you )?"
                 rf"{_WRITE} (?:in|as|for|under) (?:the |its |a )?{_FIELD}{_GLUE}[ ,]+"
                 r"(?P<described>.+)"),
    ("describe", rf"(?:for|on) (?P<task>[^,:]+?),? (?:can you |could you |please |would you )?"
                 rf"{_WRITE} (?P<described>.+?) (?:in|as|under) (?:the |its |a )?{_FIELD}"),
    ("describe", rf"(?:in|as|for|under) (?:its|the) {_FIELD},? {_WRITE}(?: that)?:? "
                 r"(?P<described>.+)"),
    ("both", rf"(?:re ?title|rename|call|name|change|update) (?P<task>{_LABELLED}) (?:(?:to|as|"
             rf"into)"
             rf" )?(?!(?:'s |the |its |my )?(?:title|name|description|task|one|"
             rf"item)\b)(?P<title>\"[^\"]+\"|'.+?'|“[^”]+”|[^,.;]+?)[,.;]? and (?:for (?:the|"
             rf"its) {_FIELD}"
             rf" (?:put|write|use|set|say)|(?:set|make|change|update|let) (?:its|the) {_FIELD}"
             rf" (?:to|"
             rf"be|as|say)?|(?:as|for) (?:its|the|a) {_FIELD}|(?:put|write|use) (?!.* (?:in|as) )|"
             rf"(?:give|add) it (?:the|a) {_FIELD}(?: of)?)[ :]+(?P<described>.+)"),
    ("both", rf"(?:update|change|edit|modify|set|amend) (?P<task>{_LABELLED})[ ,:;.-]+(?:so"
             rf" )?(?:that "
             rf")?(?:the|its) {_NAME} (?:is|should be|becomes|reads|to)(?: now)?"
             rf" (?P<title>.+?)[ ,;.]+"
             rf"(?:and )?(?:the|its) {_FIELD} (?:is|should be|becomes|reads|to)(?: now)? "
             r"(?P<described>.+)"),
    ("drop", rf"{_REMOVE} (?:the )?(?:words?|bit|part) (?P<old>.+?) (?:out of|from|in|of)"
             rf" (?:(?:the )?"
             rf"{_NAME} (?:of|for|in) )?(?P<task>.+?)"),
    ("drop", rf"{_REMOVE} (?P<old>.+?) (?:out of|from) (?:the )?{_NAME} (?:of|for|in)"
             rf" (?P<task>.+?)"),
    ("respell", r"(?:i|i've|i have) (?:mis-?(?:spelled|spelt|typed|named)|(?:spelled|spelt|typed|"
                r"wrote|"
                r"written|named|titled|got|put)(?=.* (?:wrong(?:ly)?|incorrectly)[,.;-]))"
                r" (?P<task>.+?)"
                r"(?: wrong(?:ly)?| incorrectly)?[,.;-]+ ?"
                r"(?:it's|it is|it should be|it should say|it should read|it's meant to be|that"
                r" should"
                r" be|should be|it must be|it ought to be)(?: spelled| spelt)?:? (?P<title>.+?)"),
    ("describe", rf"(?:the )?{_FIELD} (?:of|for|on|in) (?P<task>[^,;:]+?) (?:is|was) (?:wrong|"
                 rf"out of "
                 r"date|outdated|incorrect|off)[,.;-]+ ?(?:it's|it is|it should (?:be|say|read)):? "
                 r"(?P<described>.+)"),
    ("respell", rf"(?!(?:the )?{_FIELD}\b)(?P<task>.+?) (?:is|was) (?:wrong|mis-?spelled|"
                rf"mis-?spelt|mis-?typed|(?:spelled|"
                r"spelt) wrong(?:ly)?)[,.;-]+ ?(?:it should be|it should say|it should "
                r"read|it's meant to be) (?P<title>.+?)"),
    ("rename", rf"{_CHANGE} (?:the )?(?:{_NAME}|wording) (?:of|for|on) (?P<task>[^,;:]+?)[,;:.-]+ ?"
               rf"(?:the |its )?(?:correct|right|new|proper|actual|real) {_NAME} (?:is|should be|"
               r"would be)(?: now)?:? (?P<title>.+?)"),
    ("rename", rf"{_CHANGE} (?:the )?(?:{_NAME}|wording|spelling) (?:of|for|on) (?P<task>[^,;:]+?)"
               r"[,;:.-]+ ?(?:it should (?:be|say|read)|it's meant to be):? (?P<title>.+?)"),
    ("exchange", rf"{_CHANGE} (?P<task>[^,;:]+?){_ASIDE}[,;:.-]+ ?{_SAYS}(?: now)? (?P<new>[^,;]+?)"
                 r"(?: now)?,? (?:and )?(?:not|instead of|rather than) (?P<old>[^,;]+?)"
                 r"(?: any ?more| any longer)?"),
    ("exchange", r"(?P<task>[^,;:?]+?) (?:is|are)(?: actually| now)? (?P<new>(?:on |at |in |for |"
                 r"to )?"
                 r"[^,;?]+?),? (?:and )?not (?P<old>[^,;?.]+?)[,;.-]+ ?(?:so |can you |could you |"
                 rf"please )*{_CHANGE} (?:that|it|this)(?: one)?"),
    ("exchange", r"make (?P<task>[^,;:]+? (?:one|task|item|reminder)|#\d+|(?:task|number) \w+)"
                 r" (?:say |"
                 r"be |read )?(?P<new>[^,;]+?),? (?:instead of|rather than|not) (?P<old>[^,;]+?)"),
    ("exchange", r"(?:replace|swap|substitute|exchange) (?P<old>.+?) (?:with|for|by)"
                 r" (?P<new>.+?) in "
                 rf"(?:(?:the )?{_NAME} of )?(?P<task>.+?)"),
    ("exchange", r"(?:change|switch|alter) (?:the )?(?P<old>.+?) (?:to|into) (?P<new>.+?) (?:in|"
                 r"on|for)"
                 rf" (?:(?:the )?{_NAME} of )?(?P<task>.+? (?:one|task|item|reminder)|#\d+|"
                 r"(?:task|number) \w+)"),
    ("complete", r"(?:flip|flick|toggle|switch|set|turn|move|put|change) (?!.*\b(?:title|name|"
                 r"description|notes?)\b)(?P<task>[^,;:?]+?)(?:'s status)?"
                 r" (?:to|into|over to) (?:done|completed?|finished|ticked)"),
    ("delete", r"(?:lose|bin|ditch|drop|scrap|axe|chuck|dump) (?!.*\b(?:wait|keep|leave|and|but|"
               r"also|instead|undo|"
               r"sure|actually|don't|not|add)\b)(?P<task>(?:the |that |my )"
               r"[^,;:?.]+ (?:one|task|item|reminder)|#\d+|(?:task|number) \w+)(?:[?.!,;-]+"
               r" (?:it|it's|"
               r"they|they're|we|we're|i'm|he's|she's|that|that's|there's|no) [^?]*?)?"),
)  # fmt: skip

FORMS = tuple(
    (kind, re.compile(_OPENING + sentence + _CLOSING, re.IGNORECASE))
    for kind, sentence in _SENTENCES
)
"""What each form orders, and the form, in the order of their trial."""
