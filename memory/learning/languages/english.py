"""English."""

# ruff: noqa: E501  (patterns)

from memory.learning.languages.base import Language, words

# Verbs by which a team tells its own customs: "we always squash".
_CUSTOMS = (
    "use|write|name|prefix|deploy|commit|push|merge|squash|rebase|keep|put|store|log|test|review|"
    "ship|release|tag|version|import|format|document|run|call|sign|pin|quote|escape|validate|"
    "return|send|ask|add|create|open|close|delete|drop|rename|edit|touch|expose|share|cache|round|"
    "capitalise|capitalize|abbreviate|translate|speak|answer|build|start|branch|mock|catch|raise|"
    "throw|hardcode|hard-code|install|upgrade|check"
)
# What the thing that is being built does, rather than whoever builds it.
_FEATURES = (
    "show(?! me)|display|hide|render|redirect|focus|highlight|scroll|fetch|load|reload|refresh|retry|"
    "play|animate|enable|disable|stick|take|pick|select|emit|trigger|fire|appear|fade|expand|collapse|"
    "open the|close the|"
    # And what people say to each other.
    "give up|say never|quit|stop dreaming|happy|ready|available|full|glad|fun|great|make us|make me|"
    "remind me|count on|cheer|let us down"
)
# What stands after "always" in a report of what goes wrong, though it looks like a verb.
_STATES = (
    "the|a|an|this|that|it|in|on|at|to|for|from|with|and|or|but|so|as|by|been|was|were|had|has|"
    "have|is|are|am|got|gets|gone|came|went|saw|seen|knew|thought|heard|tried|found|made|took|"
    "worked|works|mind|ever|again|more|less|same|null|none|true|false|empty|up|down|out|off|"
    "there|here|happens?|fails?|crash|crashes|hang|hangs|time|timeout|wrong|right|broken|late|"
    "slow|good|bad|nice|welcome|did|does|would|could|should|will|can|may|might|must|i|you|we|he|"
    "she|they|my|your|our|not|quite|only|just|really|understood|felt|told|said|lost|left|let go"
)

ENGLISH = Language(
    name="en",
    opener=words(
        r"(?:(?:please|pls|plz|ok(?:ay)?|so|and|but|also|yes|yeah|yep|no(?=[,.;:!–—-])|nope|right|great|good|fine|"
        r"nice|perfect|thanks|thank you|thx|hey|hi|hello|well|actually|oh|btw|by the way|let's|let us|fyi|ps|"
        r"p\.s\.|nb|again|then|now|just|quick (?:one|note|reminder)|one more thing|another thing|"
        r"one thing|important|very important|reminder|heads up|attention|a rule|rule|"
        r"as a rule|as a reminder|just so you know|in general|generally|in this (?:repo|repository|"
        r"project|codebase)|i need you to|i want you to|i'd like you to|you should|you need to|"
        r"you have to|make sure (?:that )?(?:you|to|we)|be sure to|ensure (?:that )?(?:you|we)|"
        r"(?:you|we)(?: really)? (?:should|must|shall|need to|have to)|could you please|"
        r"first of all|last but not least)\b[\s,:;.!–—-]*)"
    ),
    clause=words(r"(?:,|;|\.|:)? +(?:so|and|but|also|then)(?: please)? +|; +| +[–—-]+ +"),
    remember=words(
        r"(?:(?:always )?(?:remember|keep in mind|bear in mind|note|take note|know|be aware|"
        r"(?:do not|don't|never) forget|make a (?:mental )?note|store in (?:your )?memory|"
        r"save to (?:your )?memory|memori[sz]e|add to (?:your )?memory)"
        r"(?: (?:this|the following|these(?: things| facts)?|please))?"
        r"(?: (?:for (?:later|next time|the future|future (?:sessions|reference))))?"
        r"(?:,? that\b(?! (?:down|one|part|too)\b)|:|(?<=remember),|(?<=mind),)"
        r"|for (?:future|later|your) reference[,:]|for (?:the )?next time[,:]|for the record[,:]|"
        r"i(?:'d like to)? remind you that\b|important for (?:the )?next time[,:]|note to self[,:])[\s,:]*"
    ),
    instruct=words(
        rf"(?:(?:whenever|when|for|in|on|before|after|with|if you|every time|each time|until)\b"
        rf"[^,;:?]{{2,90}}, (?:please )?)?"
        rf"(?:(?:always|never) (?:ever )?(?!(?:{_STATES})\b)(?!(?:{_FEATURES})\b(?!.*\b(?:i ask|your (?:answers?|repl(?:y|ies)|summar(?:y|ies)))\b))(?!\w*(?<!ne)(?<!mb)(?<!fe)(?<!ce)(?<!he)ed\b)"
        rf"(?!(?!bring|string|ring|ping)\w+ing\b)"
        rf"(?!\w*(?<!s)(?<!acce)(?<!addre)(?<!u)(?<!i)s\b)[a-z][a-z-]+\b"
        rf"|(?:do not|don't) ever (?!quit\b|give up\b|stop\b)[a-z]+"
        rf"|(?:no|don't|do not) [^,;:?]{{3,120}}, (?:ever|never)(?=[.! ]*$)"
        rf"|(?:you|agents?|everyone|everybody|nobody|anyone)(?: (?:should|must|shall|may|need to|"
        rf"have to|are to))+ (?:always|never) (?!happen|have|see|get\b)[a-z]+"
        rf"|you (?:always|never) (?:have to|need to|must|should|may)\b"
        rf"|(?:i|we) (?:always|never) (?:ever )?(?:want|expect|like|need) (?:to see |you |all |every |a |"
        rf"the |any )"
        rf"|(?:here )?(?:we|our team|this (?:team|project|repo)) (?:always|never) (?:{_CUSTOMS})s?\b"
        rf"|(?!(?:the|this|that|these|those|it|its|he|she|they|there)\b)(?:[\w-]+ ){{0,3}}[\w-]+s "
        rf"(?:must|should|may|shall) (?:always|never) (?:be|have|go|use|contain|stay) "
        rf"(?!null\b|empty\b|true\b|false\b|able\b|reached\b|here\b))"
    ),
    prefer=words(
        r"(?:i|we)(?: (?:strongly|generally|usually|really|always|much|personally))* prefer "
        r"(?!the (?:first|second|third|last|former|latter|other|new|old|original|approach|version|idea|variant|one)\b|this\b|that\b|it\b|"
        r"your\b|option\b|version\b|variant\b|number\b|not to (?:say|answer)\b|[a-d1-9]\b)"
        r"|my preference is (?!the (?:first|second|third|other)\b|option\b)"
    ),
    decide=words(
        r"(?:(?:yesterday|today|this (?:morning|afternoon|week)|last (?:week|night|month|friday)|"
        r"as (?:discussed|said|agreed)[^,;:?]{0,60}|for what it's worth|internally|as a team|meanwhile|recently|for now|finally|"
        r"(?:in|at|after|during|with|following|on|per) (?!we\b|i\b)[^,;:?]{2,70}?),? )?"
        r"(?:(?:we|i|the team|us two)(?:'ve| have| all| both)?(?: (?:now|just|finally|also|all|already|"
        r"jointly|internally))* (?:decided|agreed|settled) "
        r"(?!yet\b|whether\b|if\b|what\b|which\b|how\b|when\b|nothing\b)"
        r"|it (?:was|has been|is) (?:now )?(?:decided|agreed) (?!whether\b|if\b|by\b)"
        r"|(?:the |our |my |final )?decision(?: is| was)?(?: that|:| to)\s*(?!pending\b|needed\b|open\b)"
        r"|we(?:'re| are) going with )"
    ),
    standing=words(
        r"\b(?:from (?:now|here|today|this point) (?:on|onwards?|forward)(?!.*\b(?:fails?|failing|crash(?:es)?|hangs?|breaks?|broken|errors?)\b)|going forward|"
        r"moving forward|henceforth|as of (?:now|today)|in (?:the )?future,? (?=please|always|never|"
        r"don't|do not|no |only |you (?:should|must)|make sure|ask|use|put|write|leave|keep|add|run|"
        r"check|start|stop|avoid|commit|name|call|give|show|tell|answer|let|prefer|skip|include|"
        r"wait|create|open|i want|i'd like|i would like))"
    ),
    subjects=frozenset(
        ["the", "a", "an", "this", "that", "it", "its", "these", "those", "he", "she", "they", "there", "why", "what", "how", "when", "where", "who", "which", "is", "are", "does", "did", "do", "can", "will", "would", "should", "could", "if", "since", "because", "in", "on", "at", "for", "with", "after", "before", "as", "write", "explain", "describe", "translate", "add", "say", "my", "his", "her", "their", "some", "someone", "everything", "something", "nothing", "not", "was", "were", "has", "have", "had"]
    ),
    hedge=words(
        r"\b(?:if|whether|suppose|supposing|imagine|assum(?:e|ing)|would|wouldn't|could|might|maybe|"
        r"perhaps|wonder(?:ing)?|pretend|let's say|thought|not sure|unless|hypothetically|why|"
        r"isn't|doesn't mean|not that|don't think|not like)\b"
    ),
    reported=words(
        r"\b(?:(?<!i )says?|(?<!i )said|(?<!i )told|tells?|telling|saying|wrote|writes|reads|claims?|"
        r"thinks?|suggests?|suggested|asked|asks|according to|recommends?|insists?|complains?|"
        r"tooltip|banner|label|message|text|title|sentence|phrase|note that)\b"
    ),
    vague=words(
        r"(?:this|that|it|these|those|they|he|she|there)\b(?! (?:repo|project|team|machine|server|"
        r"codebase|company|branch|file|service|api|is no\b|are no\b|are two\b))"
        r"|.*\b(?:do|did|does|doing|try|tried) (?:that|this|it|so|these)\b"
    ),
    local=words(
        r"\b(?:this|that|these|those) (?:loop|function|method|class|file|files|page|view|form|test|line|"
        r"lines|variable|branch|pr|commit|task|ticket|bug|error|case|script|button|field|column|query|"
        r"endpoint|dialog|screen|step|one|time|change|call|component|modal|table|list)\b|"
        r"\bfor (?:this|that|now)[.!]*$|\bhere[.!]*$"
    ),
    weak=words(r"\bnote\b|\bi\b|\bi'"),
    therefore=words(r"\b(?:so)\b"),
    chore=words(r"to\b"),
    wants=words(r"(?:i|we) (?:prefer|like|want|hate|dislike|love|expect)\b|(?:always|never|don't|do not|"
                r"please)\b"),
)  # fmt: skip
