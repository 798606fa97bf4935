"""Emails, phone numbers and tags as they are stored: one spelling for each. Not for writing them.

A phone number is E.164 (ITU-T E.164: `+`, country code, number), read by Google's libphonenumber.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat

from config.lib.errors import Invalid
from config.lib.redact import BEGINNING, redact_text
from config.lib.scope import current_workspace_id
from contacts.models import Workspace
from contacts.services.fitting import Shortened, fitted

MAX_EMAILS = MAX_PHONES = 50
MAX_TAGS = 100
MAX_EMAIL = 320
MAX_LABEL = 60
MAX_TAG = 100
# Of an address that is none, what is kept of it; a longer one is a text that went astray.
MAX_UNREADABLE = 500
# A label with the extension of its number: what is before it, its digits.
EXTENSION = re.compile(r"(?:(.*) )?ext\. (\d{1,7})")
# What no address holds unquoted; quoted local parts are not taken.
_EMAIL = re.compile(r"""[^@\s,;:<>()\[\]"\\]+@[^@\s,;:<>()\[\]"\\]+""")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")
_PARTING = re.compile(r"[\x00-\x1f\x7f,;]|:::")
_STORED = re.compile(r"([^\s()]+@[^\s()]+|\+\d+) \(([^()]+)\)")
_TYPED = re.compile(r"([^\n]*\S)\s+\(([^()\n]*[^()\d\s-][^()\n]*)\)")
_EXAMPLE = "+41446681800"


@dataclass(frozen=True, slots=True)
class Labelled:
    """An email or a number with what it is called: work, home."""

    value: str
    label: str = ""

    def __str__(self) -> str:
        """As Revisions, CSV and forms have it: `ada@example.com (work)`."""
        return f"{self.value} ({self.label})" if self.label else self.value

    @classmethod
    def read(cls, text: str) -> "Labelled":
        """The reverse, exact for what was stored. A number that a person typed may hold parentheses
        of its own; a label is then what holds more than digits."""
        text = text.strip()
        found = _STORED.fullmatch(text) or _TYPED.fullmatch(text)
        return cls(found[1], found[2]) if found else cls(text)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What stands for an email or number and is none: `field` is its place (phones[0].number),
    `text` what `text_of` makes of it, `why` what is wrong with it and what to do."""

    field: str
    text: str
    why: str


def folded(text: str) -> str:
    """NFC, with white space folded."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def _casefolded(text: str) -> str:
    """But for marks of what was redacted: in another spelling they would be taken for secrets, and
    marked once more whenever they are written."""
    return text.casefold().replace(BEGINNING.casefold(), BEGINNING)


def sort_name(name: str) -> str:
    """What lists are ordered and names compared by; cut to its column, as case can lengthen it."""
    return folded(_casefolded(folded(redact_text(name))))[:300]


def read_email(text: str) -> str:
    """Casefolded. ValueError says what is wrong."""
    email = unicodedata.normalize("NFC", text).strip().removeprefix("mailto:").casefold()
    if len(email) > MAX_EMAIL:
        raise ValueError(f"has {len(email):,} characters; at most {MAX_EMAIL} are kept")
    if not _EMAIL.fullmatch(email) or _UNPRINTABLE.search(email):
        raise ValueError("is not an email address such as ada@example.com")
    return email


def read_phone(text: str, region: str | None) -> tuple[str, str]:
    """(E.164 number, extension or ""). ValueError says what is wrong and what to do.

    `region` is the country that numbers without a country code are of.
    """
    given = text.strip().removeprefix("tel:")
    international = given.lstrip("(")[:1] in ("+", "\uff0b")
    try:
        number = phonenumbers.parse(given, None if international else region)
    except NumberParseException:
        if not international and region is None and any(c.isdigit() for c in given):
            raise ValueError(
                f"has no country code: write it as {_EXAMPLE}, or set `region` in the "
                "workspace's settings to your country (ISO 3166, such as CH)"
            ) from None
        raise ValueError(f"is not a phone number such as {_EXAMPLE}") from None
    if not phonenumbers.is_possible_number(number):
        raise ValueError(f"is not a possible phone number; write it as {_EXAMPLE}")
    return phonenumbers.format_number(number, PhoneNumberFormat.E164), number.extension or ""


def spellings(number: str) -> list[str]:
    """An E.164 number as people may type it without spaces: as it is, its digits, its digits as
    dialled in its own country (0446681800)."""
    digits = number.removeprefix("+")
    try:
        parsed = phonenumbers.parse(number, None)
    except NumberParseException:
        return [number, digits]
    national = phonenumbers.format_number(parsed, PhoneNumberFormat.NATIONAL)
    at_home = "".join(character for character in national if character.isdigit())
    return list(dict.fromkeys([number, digits, at_home]))


def workspace_region() -> str | None:
    """The country of numbers without a country code, from the workspace's settings."""
    settings = Workspace.objects.values_list("settings", flat=True).get(pk=current_workspace_id())
    region = str(settings.get("region") or "").upper()
    return region if region in phonenumbers.SUPPORTED_REGIONS else None


def normal_emails(given: Sequence[Labelled]) -> list[Labelled]:
    """In their order, each once. Invalid names the ones that cannot be taken."""
    _at_most(given, MAX_EMAILS, "emails")
    return _all_of(readable_emails(given))


def normal_phones(given: Sequence[Labelled], region: str | None) -> list[Labelled]:
    """The same for numbers. An extension, which E.164 has no place for, goes into the label."""
    _at_most(given, MAX_PHONES, "phones")
    return _all_of(readable_phones(given, region))


def readable_emails(
    given: Iterable[Labelled], cut: list[Shortened] | None = None
) -> tuple[list[Labelled], list[Unreadable]]:
    """Those of `normal_emails` that can be taken, and those that cannot. With `cut`, which is told
    of them, labels are no longer than is kept."""

    def read(one: Labelled) -> Labelled:
        return Labelled(read_email(one.value), _label(one.label))

    return _sorted_out(given, "emails", "email", MAX_EMAILS, read, cut)


def readable_phones(
    given: Iterable[Labelled], region: str | None, cut: list[Shortened] | None = None
) -> tuple[list[Labelled], list[Unreadable]]:
    """The same of `normal_phones`. An extension of up to seven digits stays in its label."""

    def read(one: Labelled) -> Labelled:
        number, extension = read_phone(one.value, region)
        label = _label(one.label)
        suffix = f"ext. {extension}"
        if extension and not f" {label}".endswith(f" {suffix}"):
            label = f"{label} {suffix}".strip()
        return Labelled(number, label)

    return _sorted_out(given, "phones", "number", MAX_PHONES, read, cut)


def text_of(one: Labelled) -> str:
    """An address as it stood, in one line, without secrets and without what parts two in a sheet:
    how one that cannot be read is kept and told from others."""
    text = str(Labelled(folded(_PARTING.sub(" ", one.value)), _label(one.label)))
    return redact_text(text, personal=True)[:MAX_UNREADABLE]


def _sorted_out(
    given: Iterable[Labelled],
    name: str,
    column: str,
    limit: int,
    read: Callable[[Labelled], Labelled],
    cut: list[Shortened] | None,
) -> tuple[list[Labelled], list[Unreadable]]:
    """Each once, with the first label that one of the same has; and what `read` does not take."""
    once: dict[str, str] = {}
    unreadable: list[Unreadable] = []
    for index, one in enumerate(given):
        try:
            found = read(one)
            if found.value not in once and len(once) == limit:
                raise ValueError(f"is one too many: at most {limit} are kept")
        except ValueError as error:
            unreadable.append(Unreadable(f"{name}[{index}].{column}", text_of(one), str(error)))
        else:
            label = once.get(found.value) or found.label
            if cut is not None:
                label = _fitted_label(f"{name}[{index}].label", label, cut)
            once[found.value] = label
    return [Labelled(value, label) for value, label in once.items()], unreadable


def _all_of(sorted_out: tuple[list[Labelled], list[Unreadable]]) -> list[Labelled]:
    found, unreadable = sorted_out
    if unreadable:
        raise Invalid({one.field: one.why for one in unreadable})
    return found


def folded_tag(name: str) -> str:
    """A tag as it is stored. Secrets go before case does, by which they are known."""
    return folded(_casefolded(folded(redact_text(name))))


def normal_tags(given: Iterable[str]) -> list[str]:
    """Casefolded, in order of the alphabet, each once: one tag however it was typed."""
    names = list(given)
    _at_most(names, MAX_TAGS, "tags")
    errors: dict[str, str] = {}
    found: set[str] = set()
    for index, name in enumerate(names):
        tag = folded_tag(name)
        if any(character in tag for character in ",;"):
            errors[f"tags[{index}]"] = "holds a comma or semicolon; send two tags as two items"
        elif len(tag) > MAX_TAG:
            errors[f"tags[{index}]"] = f"has {len(tag)} characters; at most {MAX_TAG} are kept"
        elif tag:
            found.add(tag)
    if errors:
        raise Invalid(errors)
    return sorted(found)


def shortened_tags(given: Iterable[str]) -> tuple[list[str], list[Shortened]]:
    """`normal_tags` of what may be too long or too many: no longer and no more than are kept, the
    first of them; a tag that holds a comma is two."""
    cut: list[Shortened] = []
    found: set[str] = set()
    over: dict[str, None] = {}
    for index, name in enumerate(given):
        clean = folded_tag(name)
        for part in re.split("[,;]", clean) if "," in clean or ";" in clean else [clean]:
            too_long: list[Shortened] = []
            tag = fitted(f"tags[{index}]", part.strip(), MAX_TAG, too_long)
            if not tag or tag in found:
                continue
            if len(found) == MAX_TAGS:
                over[tag] = None
            else:
                found.add(tag)
                cut += too_long
    if over:
        cut.append(too_many("tags", list(over), MAX_TAGS))
    return sorted(found), cut


def too_many(name: str, over: Sequence[object], most: int) -> Shortened:
    """What is said of those of a contact's `name` that are `over` the `most` that it may have."""
    text = ", ".join(str(one) for one in over[:10])
    return Shortened(name, text, f"{most + len(over):,} {name}; at most {most} are kept")


def _label(text: str) -> str:
    """One line, without the parentheses that it is written in."""
    return folded(re.sub(r"[()\x00-\x1f\x7f]+", " ", text))


def _fitted_label(field: str, label: str, cut: list[Shortened]) -> str:
    if len(label) <= MAX_LABEL // 2:
        return label
    found = EXTENSION.fullmatch(label)
    start, end = (found[1] or "", f" ext. {found[2]}") if found else (label, "")
    kept = fitted(field, start, MAX_LABEL, cut, end=end).strip()
    # What ended otherwise must not look like an extension.
    if not found and (made := EXTENSION.fullmatch(kept)) and kept != label:
        return made[1] or ""
    return kept


def _at_most(given: Sequence[object], limit: int, name: str) -> None:
    if len(given) > limit:
        raise Invalid({name: f"{len(given):,} {name}; at most {limit} are kept"})
