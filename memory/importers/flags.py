"""Texts that speak to whoever reads them as a model: kept as they are, and pointed out.

A hint for a person who looks through a report. Everything stored is untrusted whether it is
flagged or not, so nothing may be let through because it is not.
"""

import re
from typing import Any

import re2

from memory.importers.problems import Code, Finding

# Without blanks but for those that are escaped.
_ORDERS = tuple(
    re.sub(r"(?<!\\)\s+", "", form).replace("\\ ", " ")
    for form in (
        r"""<(?:/?\s*(?:system|assistant|developer|instructions?)(?:[\s_-]\w+)?\s*>
        | \|(?:im_start|im_end|system|endoftext)\|>)""",
        r"\[/?INST\]",
        r"""\b(?:ignore|disregard|forget|override)\b .{0,30}?
        \b(?:previous|prior|above|earlier|all|any|your|other)\b .{0,30}?
        \b(?:instructions?|prompts?|rules|guidelines|directives|polic(?:y|ies))\b""",
        r"\byou\ are\ now\ (?:in|a|an|the|my|no\ longer)\b",
        r"\b(?:new|updated)\ (?:system\ )?(?:instructions|prompt)\s*:",
        r"\b(?:reveal|print|repeat|show)\b .{0,20}? \bsystem\ prompt\b",
        r"""\bdo\ not\ (?:tell|inform|mention\ (?:this|it)\ to)
        \ (?:the\ )?(?:user|operator|human)\b""",
        r"""\b(?:to|for)\ (?:any|all|every)
        \ (?:ais?|llms?|language\ models?|assistants?|agents?)
        \ (?:that|who|which|reading|processing)\b""",
    )
)
_FORMS = [re.compile(form, re.IGNORECASE) for form in _ORDERS]


def _look() -> Any:
    """All forms at once. RE2 knows but ASCII: white space is given as Python has it, and an end of
    a word it sees wherever Python does."""
    options = re2.Options()
    options.case_sensitive = False
    # It finds nothing where its automaton has no room.
    options.max_mem = 1 << 26
    made = re2.Set.SearchSet(options)
    blank, word = r"\s\v\x1c-\x1f\x85\p{Z}", r"[\w\pL\pN]"
    for form in _ORDERS:
        wider = form.replace(r"[\s", f"[{blank}").replace(r"\s*", f"[{blank}]*")
        made.Add(wider.replace(r"\w", word))
    made.Compile()
    return made


_LOOK = _look()


def instructions_in(name: str, text: str) -> Finding | None:
    """What to say of a text, the field `name`, that gives orders to a model."""
    for number in sorted(_LOOK.Match(text.encode("utf-8", "replace")) or ()):
        if found := _FORMS[number].search(text):
            return Finding(
                Code.INSTRUCTIONS,
                f"{name} gives orders to a model: {found[0][:60]!r}",
                "kept word for word, as data",
            )
    return None
