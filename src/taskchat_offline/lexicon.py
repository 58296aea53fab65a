"""The words the assistant knows. Data only: what they mean is decided elsewhere."""


def word_set(text: str) -> frozenset[str]:
    """The words of a line, as a set."""
    return frozenset(text.split())


NUMBER_WORDS = {
    word: number
    for number, word in enumerate(
        [
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
            "twenty",
        ],
        start=1,
    )
}
"""Counting words people use for short lists; longer lists are counted in digits."""

ORDINALS = (
    {
        word: number
        for number, word in enumerate(
            [
                "first",
                "second",
                "third",
                "fourth",
                "fifth",
                "sixth",
                "seventh",
                "eighth",
                "ninth",
                "tenth",
                "eleventh",
                "twelfth",
            ],
            start=1,
        )
    }
    | {"1st": 1, "2nd": 2, "3rd": 3}
    | {f"{number}th": number for number in range(4, 51)}
)
"""Places in a list. Negative places count from the end."""
ORDINALS |= {
    "former": 1,
    "latter": -1,
    "top": 1,
    "last": -1,
    "final": -1,
    "bottom": -1,
    "penultimate": -2,
}

DONE = word_set(
    "done complete completed crossed finished sorted accomplished checked ticked closed finish "
    "concluded"
)
"""Words for the state of a finished task."""

OPEN = word_set(
    "pending incomplete unfinished uncompleted undone left remaining open outstanding still "
    "remain remains active unchecked due waiting ahead unticked upcoming"
)
"""Words for the state of a task that is not finished."""

NOT = word_set(
    "not haven't hasn't didn't isn't aren't wasn't weren't don't doesn't won't can't couldn't "
    "never yet hadn't wouldn't shouldn't no-longer barely hardly nearly almost halfway half "
    "cannot without unable failed forgot"
)
"""Words that turn a statement of completion into its opposite."""

ONE_TASK = word_set("task to-do todo item entry reminder job chore errand one thing todos")
MANY_TASKS = word_set(
    "tasks to-dos todos items entries reminders jobs chores errands ones things stuff"
)
LISTS = word_set("list lists checklist to-do-list todolist")
TASK_NOUNS = ONE_TASK | MANY_TASKS
"""Words that stand for a task without naming it."""

DETERMINERS = word_set("a an the my our this that these those your any some another its")
PRONOUNS = word_set("it that this them those these 'em both")
FIELDS = {
    "title": "title",
    "name": "title",
    "wording": "title",
    "text": "title",
    "label": "title",
    "description": "description",
    "descriptions": "description",
    "desc": "description",
    "note": "description",
    "notes": "description",
    "details": "description",
    "detail": "description",
    "comment": "description",
    "memo": "description",
}
"""What people call the two fields of a task."""

POLITE = word_set(
    "please pls plz kindly thanks thx cheers ta ok okay too also then now instead again mate "
    "btw lol haha whew thankyou ty anymore already immediately altogether completely entirely"
)
"""Words that may trail a request without being part of what it names."""

FILLERS = word_set(
    "please pls plz kindly hey hi hello hiya ok okay k alright right so well um uh oh ah also "
    "then next now actually just maybe perhaps great cool perfect thanks sure yes yeah yep "
    "yup and but or anyway hmm finally lastly afterwards additionally secondly firstly nice "
    "good awesome sorry quickly oops whoops excellent lovely wonderful brilliant plus quick "
    "assistant bot dear while because since as fine oi yo yay "
    "hooray woohoo phew ugh wow hurray gosh man dude"
)
"""Words that may open a request without changing it."""

DELETE = word_set(
    "delete remove erase scrap drop wipe bin nix ditch strike cancel trash discard dump toss "
    "kill purge eliminate axe zap clear scratch deleting removing erasing scrapping dropping "
    "cancelling canceling binning ditching rm del unlist expunge junk shred chuck obliterate "
    "destroy"
)
RENAME = word_set(
    "rename retitle relabel reword rephrase reformulate rewrite recast renaming retitling"
)
CHANGE = RENAME | word_set(
    "change update edit modify alter correct amend revise adjust fix switch turn make set "
    "shorten lengthen simplify extend expand abbreviate "
    "convert call move tweak changing updating editing modifying replace reschedule "
    "postpone shift push amending correct"
)
RESCHEDULE = word_set("move reschedule postpone shift push delay bring")
COMPLETE = word_set("complete finish close finalise finalize completing finishing closing conclude")
ADD = word_set("add create insert include append adding creating inserting jot note record ad")
PUT = word_set(
    "put stick pop place get throw chuck add include slap insert write enter log save want need "
    "set have create record drop putting bung whack fling toss shove plonk jot pencil"
)
"""Verbs with which people put something on a list; some of them elsewhere throw things away."""

STRONG = word_set(
    "delete remove erase rename retitle mark tick add remind scrap show display uncheck"
) | word_set("unmark reword")
"""Verbs that open a new request wherever they follow a connector."""
CONNECTORS = word_set("and then but also so plus & while")

AUXILIARIES = word_set(
    "is are was were am do does did have has had will would could should can may might isn't "
    "aren't didn't haven't hasn't don't doesn't won't wasn't weren't shall"
)
QUESTION_WORDS = word_set(
    "what what's which who who's when when's where where's why how how's whose what're whats"
)
LIST_VERBS = word_set(
    "show list display view see print give tell read pull bring get check review open browse "
    "showing fetch hear find know look enumerate output recap summarise summarize"
)
LIST_WORDS = (
    LIST_VERBS
    | QUESTION_WORDS
    | AUXILIARIES
    | TASK_NOUNS
    | LISTS
    | DONE
    | OPEN
    | NOT
    | DETERMINERS
    | PRONOUNS
    | POLITE
    | FILLERS
    | word_set(
        "me i i've i'm we we've us you your all every everything anything something whole full "
        "entire complete current currently of on in to at for with up out over been be got get "
        "there there's here today moment right far so many much more else next plate agenda "
        "need have remain remains including included include both ones they're they finish "
        "already much number need must gotta supposed off that's it's each single only just "
        "or managed achieved left i'd like want love run through overview summary count total "
        "and status everything's todays look at take glance contents inside quick do doing "
        "going to-do see whether either completely regardless statuses crossed ticked checked "
        "nothing how's things're yet them completed uncompleted work ahead stand where "
        "needs needed progress us go over please remind incl inc including + shebang rundown "
        "recall recap even total altogether rest others without except excluding ready "
        "did behind got managed report accomplishments achievements missing track "
        "backlog workload chance seeing having ever who's old earlier again today's week "
        "so-far list's back am have've most"
    )
)
"""Words of a request to see tasks; any other word narrows the request to the tasks it names."""

ASKED_WORDS = LIST_WORDS | word_set(
    "tick cross strike put here state play leave mean hide skip my through behind"
)
"""Further words of a question about tasks; in an order they would ask for a change."""

LIGHT = word_set("do go get have make be take put give come keep let got try start bring set")
"""Verbs too common to tell tasks apart; they weigh little in matching."""

EVENTS = word_set(
    "visit session business situation issue appointment booking event matter affair errand bit "
    "trip plan job"
)
"""Nouns under which people sum a task up: "the vet visit" is "Take Rex to the vet"."""

STOP = (
    word_set(
        "a an the my our your this that these those to of for from in on at by with about and "
        "or i i'm i've we we've it its it's me us you he she they is are was were been be am "
        "will task tasks one item just already now finally today also too please so as into "
        "all done which who again over up off out yesterday morning afternoon evening earlier "
        "ok okay yes yeah but todo to-do entry reminder there back some any really called "
        "named titled saying says related regarding concerning says mentions mentioning where "
        "when what then well actually finished completed complete thing stuff last week "
        "ago hey oh right good great everything anything something can could would did has "
        "his her their your our had have've list not n't ones mine only"
    )
    | DETERMINERS
)
"""Words that never tell two tasks apart."""

SYNONYMS = tuple(
    word_set(group)
    for group in (
        "buy purchase get pick grab",
        "mom mum mother mommy mummy mam",
        "dad father daddy",
        "call phone ring telephone",
        "email mail e-mail",
        "doctor gp physician doc",
        "photo picture pic",
        "trash rubbish garbage bin recycle",
        "clean tidy",
        "exam test",
        "groceries grocery shopping food",
        "grandma gran granny grandmother nan",
        "appointment appt",
        "apartment flat",
        "vacuum hoover",
        "send post mail",
        "repair fix mend",
        "tv telly television",
        "jog run",
        "cv resume résumé",
        "bike bicycle",
        "gym workout",
        "holiday vacation trip",
        "car auto vehicle",
        "revise study",
        "complete finish",
        "monday mon",
        "tuesday tue tues",
        "wednesday wed",
        "thursday thu thurs",
        "friday fri",
        "saturday sat",
        "sunday sun",
        "submit hand",
    )
)
"""Words that people swap for one another when they speak of the same task."""

IRREGULAR = {
    form: base
    for base, forms in {
        "pay": "paid",
        "buy": "bought",
        "write": "wrote written",
        "go": "went gone goes",
        "send": "sent",
        "do": "did done does",
        "make": "made",
        "take": "took taken",
        "run": "ran",
        "feed": "fed",
        "get": "got gotten",
        "sweep": "swept",
        "build": "built",
        "hang": "hung",
        "swim": "swam swum",
        "teach": "taught",
        "ring": "rang rung",
        "speak": "spoke spoken",
        "meet": "met",
        "find": "found",
        "bring": "brought",
        "think": "thought",
        "catch": "caught",
        "sell": "sold",
        "tell": "told",
        "eat": "ate eaten",
        "drive": "drove driven",
        "give": "gave given",
        "choose": "chose chosen",
        "begin": "began begun",
        "lend": "lent",
        "spend": "spent",
        "keep": "kept",
        "sleep": "slept",
        "mow": "mown",
        "fly": "flew flown",
        "drink": "drank drunk",
        "sing": "sang sung",
        "see": "saw seen",
        "say": "said",
        "hold": "held",
        "wear": "wore worn",
        "throw": "threw thrown",
        "draw": "drew drawn",
        "grow": "grew grown",
        "ride": "rode ridden",
        "learn": "learnt",
        "have": "had has",
        "sew": "sewn",
        "wind": "wound",
        "tear": "tore torn",
        "shake": "shook shaken",
        "steal": "stole stolen",
        "be": "is are was were been",
        "come": "came",
        "know": "knew known",
        "pick": "picked",
        "win": "won",
        "leave": "left",
        "lay": "laid",
        "light": "lit",
        "break": "broke broken",
        "beat": "beaten",
        "stick": "stuck",
        "string": "strung",
        "restring": "restrung",
        "rewrite": "rewrote rewritten",
        "rebuild": "rebuilt",
        "redo": "redid redone",
        "unwind": "unwound",
        "wring": "wrung",
        "grind": "ground",
        "weave": "wove woven",
        "hide": "hid hidden",
        "stand": "stood",
        "bend": "bent",
        "deal": "dealt",
        "forget": "forgot forgotten",
        "spin": "spun",
        "blow": "blew blown",
        "wake": "woke woken",
        "repay": "repaid",
        "resend": "resent",
        "shear": "shorn",
        "lead": "led",
        "dig": "dug",
        "freeze": "froze frozen",
        "bake": "baked",
        "bind": "bound",
        "shoot": "shot",
        "child": "children",
        "person": "people",
        "knife": "knives",
        "practise": "practice practiced practising practicing",
        "organise": "organize organized organizing",
        "licence": "license licences licenses",
        "tyre": "tire tires tyres",
        "colour": "color colors colours",
        "cancel": "canceled cancelled cancelling canceling",
        "cheque": "cheques",
        "programme": "program programs programmes",
    }.items()
    for form in forms.split()
}
"""Forms of a word that no ending explains, to the word; British and American spellings meet."""

PAST = frozenset(
    form
    for form in IRREGULAR
    if form
    not in word_set("is are does goes has children people knives left practice tires tire license")
    | word_set("licenses licences tyres color colors colours cheques program programs programmes")
) | word_set("read put cut hit set let shut quit")
"""Past forms that do not end in -ed."""

TASK_VERBS = word_set(
    "buy call email book pay pack clean wash water feed walk read write send pick drop get make "
    "take go do finish prepare schedule renew order fix repair visit meet ask tell text message "
    "phone ring mail post print scan sign fill file submit return collect fetch drive cook bake "
    "prep study learn practise practice revise review research plan organise organize tidy mop "
    "sweep vacuum hoover dust iron fold mow trim cut paint hang build install assemble move "
    "replace change update check test deploy merge refactor debug code draft edit proofread "
    "publish upload download back charge register apply enrol enroll sell donate give bring "
    "find look search compare choose decide reply respond follow confirm cancel rebook rsvp "
    "invite host arrange set attend join watch listen play train run swim jog exercise stretch "
    "meditate refill exchange withdraw deposit transfer invest budget claim invoice bill tax "
    "measure weigh record note translate present rehearse interview hire train onboard approve "
    "discuss talk speak see help babysit groom brush bathe plant weed prune rake shovel unpack "
    "store sort recycle empty take defrost thaw marinate roast grill chop peel freeze shop "
    "restock stock top insure service wax inflate tune park rent lease book reserve hand turn "
    "create design sketch draw film photograph frame sew knit mend glue unclog descale sharpen "
    "oil hoover buff polish declutter shred digitise digitize catch put switch cut start "
    "contact chase remind tutor teach mark grade brainstorm summarize summarise"
)
"""Verbs that open a to-do as people write them down."""

PARTICIPLES = (PAST - word_set("had have was were been is are let read put cut set hit shut")) | {
    verb + ending for verb in TASK_VERBS for ending in ("ed", "d", verb[-1] + "ed")
} - word_set("need seed feed bed red")
"""Past forms of deeds, with which people report that something is done."""

SPELLINGS = {
    "tickd": "ticked",
    "ad": "add",
    "giv": "give",
    "adde": "add",
    "addd": "add",
    "aad": "add",
    "rname": "rename",
    "markd": "marked",
    "tikc": "tick",
    "cmplete": "complete",
    "tilte": "title",
    "titel": "title",
    "chnge": "change",
    "shwo": "show",
    "desciption": "description",
    "descripton": "description",
    "discription": "description",
    "gve": "give",
    "markt": "marked",
    "doent": "don't",
    "adn": "and",
    "dont": "don't",
    "ive": "i've",
    "im": "i'm",
    "whats": "what's",
    "whatre": "what're",
    "havent": "haven't",
    "hasnt": "hasn't",
    "didnt": "didn't",
    "isnt": "isn't",
    "arent": "aren't",
    "wasnt": "wasn't",
    "wont": "won't",
    "cant": "can't",
    "doesnt": "doesn't",
    "couldnt": "couldn't",
    "lets": "let's",
    "thats": "that's",
    "its'": "its",
    "todo's": "todos",
    "todoes": "todos",
    "u": "you",
    "ur": "your",
    "r": "are",
    "gimme": "give",
    "wanna": "want",
    "rember": "remember",
    "remeber": "remember",
    "remmeber": "remember",
    "rmove": "remove",
    "dlt": "delete",
    "lst": "list",
    "sho": "show",
    "shw": "show",
    "mrk": "mark",
    "doen": "done",
    "wich": "which",
    "teh": "the",
    "hte": "the",
    "dne": "done",
    "doneee": "done",
    "finshed": "finished",
    "deleet": "delete",
    "thsi": "this",
    "taht": "that",
    "waht": "what",
    "wehn": "when",
    "plase": "please",
    "ot": "to",
    "fro": "for",
    "lsat": "last",
    "frist": "first",
    "secnd": "second",
    "whcih": "which",
    "wat": "what",
    "wats": "what's",
    "wut": "what",
    "stil": "still",
    "stll": "still",
    "shud": "should",
    "cud": "could",
    "cld": "could",
    "wud": "would",
    "tsks": "tasks",
    "tsk": "task",
    "lsit": "list",
    "pleese": "please",
    "plese": "please",
    "thx": "thanks",
    "alredy": "already",
    "allready": "already",
    "finnish": "finish",
    "evrything": "everything",
    "evry": "every",
    "youve": "you've",
    "youre": "you're",
    "havnt": "haven't",
    "shouldnt": "shouldn't",
    "neednt": "needn't",
    "abt": "about",
    "shoudl": "should",
    "tick-off": "tick",
    "tik": "tick",
    "finised": "finished",
    "compleet": "complete",
    "compleat": "complete",
    "e.g": "eg",
    "tmrw": "tomorrow",
}
"""Short forms and slips that no spelling rule reaches safely."""

SPELLED = word_set(
    "delete deleted deleting remove removed removing erase scrap cancel trash discard purge "
    "complete completed finish finished task tasks list lists remind reminder reminders remember "
    "description mark marked show display pending rename retitle change update edit modify "
    "replace create insert append check tick cross everything incomplete outstanding remaining "
    "unfinished forget title please second first third fourth fifth already called titled done "
    "groceries note drop wipe ditch completely"
)
"""Command words that are recognised with one slip of the fingers."""

NOT_SLIPS = word_set(
    "talks tanks tacks not chance charge remote clean cheek chuck crate crease compete competed "
    "crops cress strap trick tile remainder reward ticks shown shoe shoes lit listed marked "
    "lost last first firsts market mask park one notes nose node vote don dome dons doe lists "
    "titled tiles tickets wiped wiper pipe prop drops droop crop dish dutch forge forges forgot "
    "called calls calle edits emit trashy removes deletes finishes creates changes updates "
    "checks crossed shows shower hung showed secondly fires fist firsthand sort tasked reminded "
    "reminds completes finisher pleased pleases chances planning tick tic cross gross "
    "thick taste lisp lift mist mark mars ark fir hint tasty check cheer cheque titles edit"
)
"""Real words one letter away from a command word; they mean themselves."""
