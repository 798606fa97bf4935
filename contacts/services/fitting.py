"""Texts no longer than a contact keeps of them, and what is said of the rest."""

from dataclasses import dataclass

from config.lib.shorten import beginning, without_secrets

# Of a text of which less is kept than there was, what is said.
_SAID = 500


@dataclass(frozen=True, slots=True)
class Shortened:
    """Of what less is kept than there was: `field` is its place (company, phones[0].label, tags),
    `text` how it begins, without secrets, `why` how much it is, and how much is kept."""

    field: str
    text: str
    why: str


def fitted(
    field: str,
    text: str,
    most: int,
    cut: list[Shortened],
    *,
    end: str = "",
    personal: bool = False,
) -> str:
    """`text` and `end`, together no longer than `most`, for which `text` is shortened: `cut` is
    told then. What is near to that is without secrets, whose marks may be longer than they are;
    `personal` as `redact_text` has it."""
    room = most - len(end)
    if len(text) <= room // 2:
        return text + end
    clean = without_secrets(text, personal=personal)
    if len(clean) <= room:
        return clean + end
    why = f"has {len(clean) + len(end):,} characters; at most {most:,} are kept"
    cut.append(Shortened(field, beginning(clean, _SAID, personal=personal), why))
    return (beginning(clean, room, personal=personal) + end).strip()
