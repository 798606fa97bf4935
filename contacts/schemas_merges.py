"""What is sent and answered about duplicates and merging."""

import uuid
from typing import Any, Literal

from pydantic import Field

from config.lib.schema import ABSENT, MAX_INT, Input, Output, RowId, Text
from contacts.schemas_contacts import ContactOut, ContactRow


class ReasonOut(Output):
    reason: Literal["same_email", "same_phone", "same_name", "similar_name"]
    value: str = Field(description="What they have in common")
    contact_ids: list[uuid.UUID]


class DuplicatesOut(Output):
    """Contacts that may be one, by name, and why."""

    contacts: list[ContactRow]
    reasons: list[ReasonOut] = Field(description="The strongest first")


class MergeIn(Input):
    source_id: RowId = Field(description="The contact that is merged into the one of the address")
    version: int = Field(
        ABSENT, ge=1, le=MAX_INT, description="The target's, as previewed; 412 if it is another"
    )
    source_version: int = Field(ABSENT, ge=1, le=MAX_INT, description="Likewise the source's")
    reason: Text = Field("", max_length=500)


class ValueChange(Output):
    field: str
    before: Any
    after: Any


class MergeOut(Output):
    """`target` is the contact as it is, or in a preview as it would be."""

    preview: bool
    target: ContactOut
    source: ContactOut
    changes: list[ValueChange] = Field(description="What becomes different in the target")
    references: dict[str, int] = Field(description="How many rows follow, such as memories")


class UnmergeIn(Input):
    reason: Text = Field("", max_length=500)


class UnmergeOut(Output):
    target: ContactOut
    source: ContactOut
