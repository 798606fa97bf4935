"""Texts that speak to whoever reads them as a model: kept as they are, and pointed out.

A hint for a person who looks through a report. Everything stored is untrusted whether it is
flagged or not, so nothing may be let through because it is not.
"""

import re

from memory.importers.problems import Code, Finding

_COMMANDS = re.compile(
    r"""</?\s*(?:system|assistant|developer|instructions?)(?:[\s_-]\w+)?\s*>
    | <\|(?:im_start|im_end|system|endoftext)\|>
    | \[/?INST\]
    | \b(?:ignore|disregard|forget|override)\b .{0,30}?
      \b(?:previous|prior|above|earlier|all|any|your|other)\b .{0,30}?
      \b(?:instructions?|prompts?|rules|guidelines|directives|polic(?:y|ies))\b
    | \b(?:to|for)\ (?:any|all|every)\ (?:ais?|llms?|language\ models?|assistants?|agents?)
      \ (?:that|who|which|reading|processing)\b
    | \byou\ are\ now\ (?:in|a|an|the|my|no\ longer)\b
    | \b(?:new|updated)\ (?:system\ )?(?:instructions|prompt)\s*:
    | \b(?:reveal|print|repeat|show)\b .{0,20}? \bsystem\ prompt\b
    | \bdo\ not\ (?:tell|inform|mention\ (?:this|it)\ to)\ (?:the\ )?(?:user|operator|human)\b
    """,
    re.IGNORECASE | re.VERBOSE,
)

# One of these is in whatever the form above finds; nearly every text has none.
_HINTS = (
    "instruct", "prompt", "rules", "guideline", "directive", "you are now", "do not ", "<", "inst]",
    "polic", "to any ", "to all ", "to every ", "for any ", "for all ", "for every ",
)  # fmt: skip


def instructions_in(name: str, text: str) -> Finding | None:
    """What to say of a text, the field `name`, that gives orders to a model."""
    folded = text.lower()
    if not any(hint in folded for hint in _HINTS):
        return None
    found = _COMMANDS.search(text)
    if found is None:
        return None
    return Finding(
        Code.INSTRUCTIONS,
        f"{name} gives orders to a model: {found[0][:60]!r}",
        "kept word for word, as data",
    )
