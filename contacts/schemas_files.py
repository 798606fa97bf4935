"""What is answered about imports of contacts."""

import uuid
from typing import Literal

from pydantic import Field

from config.lib.schema import Output


class TakenOut(Output):
    place: int = Field(description="Which card or row of the file, from 1")
    line: int = Field(description="The line where it begins, from 1")
    name: str
    action: Literal["created", "updated", "unchanged"]
    contact_id: uuid.UUID = Field(description="Of nothing that stays, where a preview made it")
    matched_by: str = Field(description="id, external_id, uid, email or phone; empty for a new one")


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
    items: list[TakenOut]
    problems: list[RefusedOut]
    ignored_columns: list[str] = Field(description="Of a sheet: what nothing was made of")
