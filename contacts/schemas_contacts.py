"""What is sent and answered about contacts and their tags. Merging and files: schemas_merges.py."""

import uuid
from datetime import datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from config.lib.schema import ABSENT, Input, JsonObject, Moment, Output, RowOut, Text
from contacts.services.addresses import MAX_EMAILS, MAX_PHONES, MAX_TAGS, Labelled


def _named(name: str) -> BeforeValidator:
    """A bare text stands for an object without a label."""
    return BeforeValidator(lambda value: {name: value} if isinstance(value, str) else value)


class EmailIn(Input):
    email: Text = Field(min_length=1, max_length=320)
    label: Text = Field("", max_length=60, description="work, home, or your own")


class PhoneIn(Input):
    number: Text = Field(
        min_length=1,
        max_length=250,
        description="With its country code (+41 44 668 18 00), or without where the workspace's "
        "settings have a `region`. Kept as E.164; an extension goes into the label.",
    )
    label: Text = Field("", max_length=60, description="work, cell, or your own")


class EmailOut(Output):
    email: str = Field(description="Casefolded")
    label: str


class PhoneOut(Output):
    number: str = Field(description="E.164, such as +41446681800")
    label: str


Email = Annotated[EmailIn, _named("email")]
Phone = Annotated[PhoneIn, _named("number")]
TagName = Annotated[Text, Field(max_length=100)]


class ContactRow(RowOut):
    """A contact as lists show it."""

    name: str
    company: str
    role: str
    location: str
    relationship: str
    pinned: bool
    last_contact_at: datetime | None
    emails: list[EmailOut]
    phones: list[PhoneOut]
    tags: list[str]
    source: str
    external_id: str
    merged_into_id: uuid.UUID | None = Field(
        description="The contact it was merged into; such a one is in no list"
    )
    version: int
    created_at: datetime
    updated_at: datetime


class Unreadable(Output):
    """As they stood, labels in parentheses; an import that can read them moves them where they
    belong."""

    emails: list[str] = []
    phones: list[str] = []


class ContactOut(ContactRow):
    description: str
    notes: str
    unreadable: Unreadable = Field(
        description="What imports found in the place of emails and numbers, and could not read"
    )
    vcard_uid: str = Field(description="UID of the card it came from, never rewritten")
    metadata: dict[str, Any]


class _ContactFields(Input):
    """What may be set when a contact is made and changed afterwards."""

    company: Text = Field(ABSENT, max_length=300)
    role: Text = Field(ABSENT, max_length=200)
    location: Text = Field(ABSENT, max_length=300)
    description: Text = Field(ABSENT, max_length=100_000)
    relationship: Text = Field(ABSENT, max_length=200)
    notes: Text = Field(ABSENT, max_length=100_000)
    last_contact_at: Moment | None = Field(None, description="When it was last spoken to")
    pinned: bool = Field(ABSENT)
    emails: list[Email] = Field(
        ABSENT, max_length=MAX_EMAILS, description="All of them; a bare text is one without label"
    )
    phones: list[Phone] = Field(ABSENT, max_length=MAX_PHONES, description="All of them, likewise")
    tags: list[TagName] = Field(
        ABSENT, max_length=MAX_TAGS, description="All of them; made where there are none so named"
    )
    metadata: JsonObject = Field(ABSENT)

    def fields(self) -> dict[str, Any]:
        """What was sent, as services take it."""
        sent = self.sent()
        if "emails" in sent:
            sent["emails"] = [Labelled(one.email, one.label) for one in self.emails]
        if "phones" in sent:
            sent["phones"] = [Labelled(one.number, one.label) for one in self.phones]
        return sent


class ContactIn(_ContactFields):
    name: Text = Field(min_length=1, max_length=300)
    source: Text = Field("", max_length=60)
    external_id: Text = Field(
        "", max_length=300, description="Your own name for it; sent again, the row comes back."
    )


class ContactPatch(_ContactFields):
    name: Text = Field(ABSENT, min_length=1, max_length=300)
    reason: Text = Field(ABSENT, max_length=500)


class TagOut(RowOut):
    name: str
    contact_count: int = Field(description="How many contacts have it, counted up to 1,000")
    created_at: datetime


class TagPatch(Input):
    name: Text = Field(min_length=1, max_length=100)
    reason: Text = Field("", max_length=500)
