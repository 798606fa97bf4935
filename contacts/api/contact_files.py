"""Contacts as files: vCards and CSV, in and out."""

from typing import Annotated, Any, Literal

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from ninja import Query, Router
from ninja.errors import HttpError

from config.lib.errors import Invalid
from contacts.api.auth import KeyAuth
from contacts.api.contacts import ContactQuery
from contacts.api.http import Id, actor_of, principal_of, reply
from contacts.schemas_files import ImportOut
from contacts.selectors_contacts import get_contact
from contacts.services.exports import FileFormat, card_of, export_contacts
from contacts.services.imports import import_sheet, import_vcards

router = Router(tags=["Contacts"])
VCARD_TYPES = ("text/vcard", "text/x-vcard", "text/directory")
# What programs that are not of this century write.
CHARSETS = ("utf-8", "utf-16", "windows-1252", "iso-8859-1")
_FILE = {"schema": {"type": "string"}}
IMPORT_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"text/vcard": _FILE, "text/csv": _FILE},
    }
}


def _files(*types: str) -> dict[str, Any]:
    content = dict.fromkeys(types, _FILE)
    return {"responses": {200: {"description": "The file", "content": content}}}


@router.post(
    "/contacts/import",
    auth=KeyAuth("contacts:write"),
    response=ImportOut,
    operation_id="import_contacts",
    summary="Import contacts from vCards or CSV",
    openapi_extra=IMPORT_BODY,
)
def import_contacts(
    request: HttpRequest,
    preview: Annotated[bool, Query(description="Say what would happen; keep nothing")] = False,
) -> HttpResponse:
    """The file is the body; its Content-Type says which, `charset` too where it is not UTF-8.

    vCards of 2.1, 3.0 and 4.0; CSV with our own columns or those of Google's and Outlook's exports.
    A card updates the contact with its UID, else with one of its emails, else numbers, never by
    name alone; a row first by its `id` or `external_id`. At most 1,000 in one request. What cannot
    be taken is in `problems` with its place, and the rest is taken. An email or number that cannot
    be read is in `left_out` of its item and stays in the contact's `unreadable`; imported again
    after it can be read (the workspace has a `region` by then), it is added. What was dismissed in
    its contact is passed over. A text longer than is
    kept is shortened, and named in `shortened` of its item.
    """
    kind = (request.content_type or "").lower()
    if kind not in (*VCARD_TYPES, "text/csv"):
        raise HttpError(415, "Send Content-Type: text/vcard, or text/csv.")
    text = _decoded(request)
    run = import_sheet if kind == "text/csv" else import_vcards
    report = run(actor=actor_of(request), text=text, preview=preview)
    answer = {
        "preview": preview,
        "created": report.count("created"),
        "updated": report.count("updated"),
        "unchanged": report.count("unchanged"),
        "refused": len(report.refused),
        "left_out": report.left_out,
        "shortened": report.shortened,
        "items": report.taken,
        "problems": report.refused,
        "ignored_columns": report.ignored_columns,
    }
    return reply(ImportOut, answer)


def _decoded(request: HttpRequest) -> str:
    charset = (request.content_params or {}).get("charset", "utf-8").lower()
    if charset not in CHARSETS:
        raise HttpError(415, f"Send it as one of {', '.join(CHARSETS)}.")
    try:
        return request.body.decode(charset)
    except UnicodeDecodeError as error:
        raise Invalid(
            {"body": f"is not {charset} at byte {error.start}; name its charset in Content-Type, "
             "such as text/csv; charset=windows-1252"}
        ) from None  # fmt: skip


@router.get(
    "/contacts/export",
    auth=KeyAuth("contacts:read", detached=True),
    operation_id="export_contacts",
    summary="Export contacts as vCards or CSV",
    openapi_extra=_files("text/vcard", "text/csv"),
)
def export_all_contacts(
    request: HttpRequest,
    filters: Annotated[ContactQuery, Query()],
    format: Annotated[FileFormat, Query(description="vCard 3.0, vCard 4.0, or CSV")] = (
        FileFormat.VCARD4
    ),
) -> StreamingHttpResponse:
    """All contacts, or those of the list's filters, by name; properties that only a contact's own
    card has come along. CSV has a byte order mark, and an apostrophe before what a spreadsheet
    would take for a formula.
    """
    return file_response(principal_of(request).workspace_id, filters.wanted(), format)


def file_response(
    workspace_id: Any, wanted: Any, wanted_format: FileFormat
) -> StreamingHttpResponse:
    parts = export_contacts(workspace_id=workspace_id, wanted=wanted, wanted_format=wanted_format)
    response = StreamingHttpResponse(parts, content_type=wanted_format.content_type)
    name = f"contacts.{wanted_format.ending}"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@router.get(
    "/contacts/{contact_id}.vcf",
    auth=KeyAuth("contacts:read"),
    operation_id="get_contact_card",
    summary="Read a contact as a vCard",
    openapi_extra=_files("text/vcard"),
)
def get_contact_card(
    request: HttpRequest,
    contact_id: Id,
    version: Annotated[Literal["3.0", "4.0"], Query(description="Of vCard")] = "4.0",
) -> HttpResponse:
    """With the UID of the card it came from, and whatever else that card had."""
    contact = get_contact(contact_id)
    text = card_of(contact, version)
    response = HttpResponse(text, content_type=FileFormat.VCARD4.content_type)
    response["ETag"] = contact.etag
    response["Content-Disposition"] = f'attachment; filename="{contact.short_id}.vcf"'
    return response
