"""Texts that speak to whoever reads them as a model: kept as they are, and pointed out.

A hint for a person who looks through a report. Everything stored is untrusted whether it is
flagged or not, so nothing may be let through because it is not.
"""

import re

from memory.importers.problems import Code, Finding


def _form(form: str) -> re.Pattern[str]:
    return re.compile(form, re.IGNORECASE | re.VERBOSE)


# Each form with words one of which is in whatever it finds, in lower case: nearly every text has
# none of them, and is looked through once for each.
_ORDERS: tuple[tuple[tuple[str, ...], re.Pattern[str]], ...] = (
    (
        ("<",),
        _form(
            r"""<(?:/?\s*(?:system|assistant|developer|instructions?)(?:[\s_-]\w+)?\s*>
            | \|(?:im_start|im_end|system|endoftext)\|>)"""
        ),
    ),
    (("inst]",), _form(r"\[/?INST\]")),
    (
        ("ignore", "disregard", "forget", "override"),
        _form(
            r"""\b(?:ignore|disregard|forget|override)\b .{0,30}?
            \b(?:previous|prior|above|earlier|all|any|your|other)\b .{0,30}?
            \b(?:instructions?|prompts?|rules|guidelines|directives|polic(?:y|ies))\b"""
        ),
    ),
    (("you are now",), _form(r"\byou\ are\ now\ (?:in|a|an|the|my|no\ longer)\b")),
    (
        tuple(f"{one} {what}" for one in ("new", "updated") for what in ("inst", "prom", "syst")),
        _form(r"\b(?:new|updated)\ (?:system\ )?(?:instructions|prompt)\s*:"),
    ),
    (("system prompt",), _form(r"\b(?:reveal|print|repeat|show)\b .{0,20}? \bsystem\ prompt\b")),
    (
        ("do not tell", "do not inform", "do not mention"),
        _form(
            r"""\bdo\ not\ (?:tell|inform|mention\ (?:this|it)\ to)
            \ (?:the\ )?(?:user|operator|human)\b"""
        ),
    ),
    (
        tuple(f"{one} {all_} " for one in ("to", "for") for all_ in ("any", "all", "every")),
        _form(
            r"""\b(?:to|for)\ (?:any|all|every)
            \ (?:ais?|llms?|language\ models?|assistants?|agents?)
            \ (?:that|who|which|reading|processing)\b"""
        ),
    ),
)


def instructions_in(name: str, text: str) -> Finding | None:
    """What to say of a text, the field `name`, that gives orders to a model."""
    folded = text.lower()
    for hints, form in _ORDERS:
        if any(hint in folded for hint in hints) and (found := form.search(text)):
            return Finding(
                Code.INSTRUCTIONS,
                f"{name} gives orders to a model: {found[0][:60]!r}",
                "kept word for word, as data",
            )
    return None
