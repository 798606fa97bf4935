"""contact_find."""

from typing import Any

from pydantic import Field

from config.lib.schema import Moment, Output, Text
from config.mcp.brief import fitted, picked
from config.mcp.rest import Call
from config.mcp.schemas import Arguments, paging, read
from config.mcp.tool import Tool, is_detailed
from config.mcp.tools.sessions import sent_of
from contacts.api.contacts import ContactQuery, list_all_contacts
from contacts.schemas_contacts import ContactRow
from memory.api.known import list_known
from memory.schemas import KnownOut

BRIEF = (
    "id", "name", "company", "role", "relationship", "location", "emails", "phones", "tags",
    "last_contact_at",
)  # fmt: skip
KNOWN = ("id", "kind", "text", "trust", "recorded_at")


class ContactFind(Arguments):
    query: Text | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="The beginning of a name, company, email or number",
    )
    email: Text | None = Field(None, max_length=320, description="Exactly")
    phone: Text | None = Field(None, max_length=60, description="Exactly, in any spelling")
    company: Text | None = Field(None, max_length=300, description="As it is written")
    tags: list[Text] | None = Field(None, max_length=10, description="All of these")
    spoken_since: Moment | None = Field(None, description="Spoken to then or later")
    limit: int = Field(10, ge=1, le=100)
    cursor: Text | None = Field(None, max_length=2000)


class ContactsFound(Output):
    contacts: list[ContactRow]
    known: list[KnownOut] = Field(description="Memories about the contact, where one was found")
    next_cursor: str | None


def find(call: Call, given: ContactFind) -> dict[str, Any]:
    sent = sent_of(
        given, q="query", email="email", phone="phone", company="company", tag="tags",
        spoken_since="spoken_since",
    )  # fmt: skip
    wanted = read(ContactQuery, sent, {"q": "query", "tag": "tags"})
    page = call.ask(list_all_contacts, paging(given.limit, given.cursor), wanted)
    found, more = page["items"], {}
    if page["next_cursor"] is not None:
        more = {"next_cursor": page["next_cursor"]}
    known: list[Any] = []
    if len(found) == 1 and not given.cursor:
        known = call.ask(list_known, found[0]["id"], paging(5))["items"]
    if is_detailed(given):
        return {"contacts": found, "known": known, **more}
    return fitted(
        lambda cut: {
            "contacts": [picked(one, BRIEF, min(cut, 250)) for one in found],
            **({"known": [picked(one, KNOWN, min(cut, 500)) for one in known]} if known else {}),
            **more,
        }
    )


FIND = Tool(
    name="contact_find",
    title="Find a person",
    description=(
        "Look up people by the beginning of a name, company, email or phone number, by an exact "
        "address, by tag, or by when they were last spoken to. Use it when somebody is named whom "
        "you should know, before you write to or about them, and for the contact's id, which "
        "memory_save takes in `about`. Where one is found, what is known of them comes with it; "
        "memory_get with kind=contact gives notes and more. For words anywhere in notes use "
        "memory_search with kinds=[contact]."
    ),
    takes=ContactFind,
    gives=ContactsFound,
    run=find,
    reads=True,
    repeatable=True,
    whole=False,
    names={"q": "query", "tag": "tags"},
)
