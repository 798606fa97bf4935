"""What is answered about imports of contacts."""

import uuid
from typing import Literal

from pydantic import Field

from config.lib.schema import Output


class LeftOutOut(Output):
    """What stands for an address in a card or row that was taken, and is none."""

    field: str = Field(description="Its place, such as phones[0].number")
    value: str = Field(
        description="What stands there, shortened; the contact's `unreadable` has it"
    )
    why: str = Field(description="Why it is none, and what to do before importing again")


class ShortenedOut(Output):
    """A text, label or tag of a card or row that was taken, longer than is kept, or tags of which
    there are too many: the rest is left out. The contact keeps the whole card, which exports as
    vCards write until that text, its emails, its numbers or its tags are changed; not so a row."""

    field: str = Field(description="Its place, such as company, phones[0].label, tags[3] or tags")
    value: str = Field(description="How it begins")
    why: str = Field(description="How long it is, and what is kept")


class TakenOut(Output):
    place: int = Field(description="Which card or row of the file, from 1")
    line: int = Field(description="The line where it begins, from 1")
    name: str
    action: Literal["created", "updated", "unchanged"]
    contact_id: uuid.UUID = Field(description="Of nothing that stays, where a preview made it")
    matched_by: str = Field(description="id, external_id, uid, email or phone; empty for a new one")
    left_out: list[LeftOutOut] = Field(description="Of its addresses, what could not be read")
    shortened: list[ShortenedOut] = Field(description="Of what only a part was taken")


class RefusedOut(Output):
    """A card or row that was not taken; the others were."""

    place: int
    line: int
    name: str
    errors: dict[str, str] = Field(description="Why, by property or field")


class ImportOut(Output):
    preview: bool
    created: int
    updated: int
    unchanged: int
    refused: int
    left_out: int = Field(description="Addresses of cards that were taken, in their `left_out`")
    shortened: int = Field(description="Texts of cards that were taken, in their `shortened`")
    items: list[TakenOut]
    problems: list[RefusedOut]
    ignored_columns: list[str] = Field(description="Of a sheet: what nothing was made of")
