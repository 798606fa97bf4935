"""Contacts as sheets: our own columns, Google's and Outlook's, and formulas that stay text."""

import csv
import io

import pytest

from config.lib.scope import workspace_scope
from contacts.services.sheets import COLUMNS, read_sheet, write_header, write_row
from contacts.services.workspaces import update_workspace
from tests.api.caller import Caller, made, wrong_fields
from tests.api.test_vcards import only, people, send
from tests.factories import ALICE

GOOGLE = (
    "First Name,Middle Name,Last Name,Organization Name,Organization Title,Notes,Labels,"
    "E-mail 1 - Label,E-mail 1 - Value,E-mail 2 - Label,E-mail 2 - Value,Phone 1 - Label,"
    "Phone 1 - Value,Address 1 - City,Birthday\n"
    'Ada,King,Lovelace,Analytical Engines,Programmer,"Likes ""numbers"",\nand tea.",'
    "* myContacts ::: Client,* Work,ada@example.com,Home,ada@home.example,Mobile,"
    "+41 44 668 18 00 ::: +44 20 7946 0000,London,1815-12-10\n"
)
OUTLOOK = (
    "\ufeffTitle,First Name,Last Name,Company,Job Title,Business City,E-mail Address,"
    "E-mail 2 Address,Business Phone,Mobile Phone,Categories,Notes\r\n"
    '"Dr.","Charles","Babbage","Difference; Co.","Inventor","London","Charles@Example.com",'
    '"","+44 20 7946 0001","+44 7700 900123","Client;Friend","Cross\r\nman"\r\n'
)


def take(api: Caller, text: str, query: str = ""):
    return made(send(api, text, "text/csv", query))


def sheet(api: Caller, **query) -> list[dict[str, str]]:
    answer = api.get("/contacts/export", format="csv", **query)
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    text = b"".join(answer.streaming_content).decode()
    assert text.startswith("\ufeffid,name,")
    assert text.endswith("\r\n")
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


def test_googles_export(api):
    report = take(api, GOOGLE)
    assert (report["created"], report["problems"]) == (1, [])
    assert report["ignored_columns"] == ["Birthday"]
    contact = only(api)
    assert (contact["name"], contact["company"], contact["role"], contact["location"]) == (
        "Ada King Lovelace", "Analytical Engines", "Programmer", "London",
    )  # fmt: skip
    assert contact["notes"] == 'Likes "numbers",\nand tea.'
    assert contact["tags"] == ["client", "mycontacts"]
    assert contact["emails"] == [
        {"email": "ada@example.com", "label": "work"},
        {"email": "ada@home.example", "label": "home"},
    ]
    assert contact["phones"] == [
        {"number": "+41446681800", "label": "mobile"},
        {"number": "+442079460000", "label": "mobile"},
    ]


def test_outlooks_export(api):
    assert take(api, OUTLOOK)["created"] == 1
    contact = only(api)
    assert (contact["name"], contact["company"], contact["role"]) == (
        "Dr. Charles Babbage", "Difference; Co.", "Inventor",
    )  # fmt: skip
    assert contact["phones"] == [
        {"number": "+442079460001", "label": "work"},
        {"number": "+447700900123", "label": "cell"},
    ]
    assert contact["tags"] == ["client", "friend"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_sheet_as_people_type_it(api, delimiter):
    rows = [["Name", "Email", "Phone"], ["Ada", "ada@example.com", "+41446681800"], ["", "", ""]]
    report = take(api, "\n".join(delimiter.join(row) for row in rows))
    assert (report["created"], report["problems"]) == (1, [])
    assert only(api)["phones"] == [{"number": "+41446681800", "label": ""}]


def test_what_was_exported_comes_in_again_as_it_was(api):
    body = {
        "name": 'Ada, Countess; of "Lovelace"',
        "company": "=1+1",
        "role": "@boss",
        "location": "-London",
        "relationship": "+1",
        "description": "'=already quoted",
        "notes": 'Line one\n=line two, with "quotes"; and\ttabs',
        "emails": [{"email": "ada@example.com", "label": "work, old; one"}, "b@example.com"],
        "phones": [{"number": "+41446681800", "label": "work ext. 12"}, "+442079460000"],
        "tags": ["=tag", "client"],
        "pinned": True,
        "last_contact_at": "2026-01-31T12:00:00Z",
        "external_id": "c-1",
        "source": "amp",
    }
    before = made(api.post("/contacts", body))
    (row,) = sheet(api)
    text = write_header() + "\r\n".join([_line(row), ""])
    report = take(api, text)
    assert [(one["action"], one["matched_by"]) for one in report["items"]] == [("unchanged", "id")]
    assert api.delete(f"/contacts/{before['id']}", if_match="*").status_code == 204
    assert take(api, text)["created"] == 1
    after = only(api)
    for name in (*body, "tags"):
        assert after[name] == before[name], name


def _line(row: dict[str, str]) -> str:
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerow([row[name] for name in COLUMNS])
    return buffer.getvalue().removesuffix("\r\n")


def test_no_cell_of_an_export_begins_a_formula(api):
    evil = ['=HYPERLINK("http://x")', "+1", "-1+1|cmd", "@SUM(A1)", "\t=1", " =1", "＝1"]
    for index, text in enumerate(evil):
        fields = {"name": f"{text} {index}", "notes": text, "description": text, "tags": [text]}
        made(api.post("/contacts", {**fields, "phones": ["+41446681800"], "metadata": {"a": text}}))
    rows = sheet(api)
    assert len(rows) == len(evil)
    for row in rows:
        for cell in row.values():
            assert not cell.lstrip().startswith(("=", "+", "-", "@", "＝")), cell
    assert {row["phones"] for row in rows} == {"'+41446681800"}


def test_rows_update_by_id_then_external_id_then_uid_email_and_phone(api):
    ada = made(api.post("/contacts", {"name": "Ada", "external_id": "c-1", "source": "amp"}))
    by_id = f"id,name,email\n{ada['id']},Ada L,ada@example.com\n"
    by_external = "source,external_id,name,phone\namp,c-1,Ada M,+41446681800\n"
    by_email = "name,email,notes\nAda N,ADA@example.com,first\n"
    by_phone = "name,phone,notes\nAda O,+41 44 668 18 00,second\n"
    for text, how in (
        (by_id, "id"), (by_external, "external_id"), (by_email, "email"), (by_phone, "phone"),
    ):  # fmt: skip
        (item,) = take(api, text)["items"]
        assert (item["matched_by"], item["action"]) == (how, "updated")
    contact = only(api)
    assert (contact["name"], contact["notes"]) == ("Ada O", "first\n\nsecond")
    assert take(api, "name\nAda O\n")["created"] == 1, "never by its name alone"


def test_a_preferred_address_without_a_label_of_googles_older_export(api):
    take(api, "Name,E-mail 1 - Type,E-mail 1 - Value\nLinus,* ,linus@example.com\n")
    assert only(api)["emails"] == [{"email": "linus@example.com", "label": ""}]


def test_an_empty_cell_takes_nothing_away(api):
    body = {"name": "Ada", "company": "AE", "notes": "n", "emails": ["ada@example.com"]}
    contact = made(api.post("/contacts", {**body, "tags": ["client"]}))
    text = f"id,name,company,notes,emails,tags\n{contact['id']},,,,,vip\n"
    report = take(api, text)
    assert report["problems"][0]["errors"] == {
        "name": "is missing, and so are company and an email or phone that can be read: the row "
        "names nobody"
    }
    take(api, text.replace(",,,,,vip", ",Ada,,,,vip"))
    after = only(api)
    assert (after["company"], after["notes"], after["tags"]) == ("AE", "n", ["client", "vip"])
    assert after["emails"] == contact["emails"]


def test_a_row_that_cannot_be_taken_is_reported_with_its_place(api):
    text = (
        "name,email,phone,pinned,last contact at\n"
        "Ada,ada@example.com,,yes,2026-01-31T12:00:00Z\n"
        "Bad Email,nobody,,,\n"
        '"Two\nlines",,call me,,\n'
        "Bad Pin,,,perhaps,\n"
        "Bad Date,,,,yesterday\n"
        "Too,many,,,,cells,here\n"
        "Short\n"
    )
    report = take(api, text)
    assert people(api) == ["Ada", "Bad Email", "Short", "Two lines"]
    assert [(one["line"], one["left_out"][0]["field"]) for one in report["items"][1:3]] == [
        (3, "emails[0].email"),
        (4, "phones[0].number"),
    ]
    assert [(one["place"], one["line"], *one["errors"]) for one in report["problems"]] == [
        (4, 6, "pinned"),
        (5, 7, "last_contact_at"),
        (6, 8, "row"),
    ]
    rows = {row["name"]: row for row in made(api.get("/contacts"))["items"]}
    assert rows["Ada"]["pinned"] is True
    assert rows["Ada"]["last_contact_at"] == "2026-01-31T12:00:00Z"


def test_what_a_row_has_for_an_address_is_kept_until_it_can_be_read(api, workspace):
    text = (
        "name,email,phone\nAda,ada@example.com ; at home,044 668 18 00 (cell)\n"
        "Byron,,=044 668 18 01\nAda,,044 668 18 00\n"
    )
    first = take(api, text)
    assert (first["created"], first["left_out"], first["problems"]) == (3, 4, [])
    assert take(api, text)["unchanged"] == 3
    rows = sheet(api)
    assert [(row["emails"], row["phones"]) for row in rows] == [
        ("ada@example.com\nat home", "044 668 18 00 (cell)"),
        ("", "044 668 18 00"),
        ("", "'=044 668 18 01"),
    ]
    own = write_header() + "\r\n".join(map(_line, rows)) + "\r\n"
    report = take(api, own)
    assert (report["unchanged"], report["left_out"]) == (3, 4)
    with workspace_scope(workspace.id):
        update_workspace(actor=ALICE, settings={"region": "CH"})
    report = take(api, text)
    assert (report["updated"], report["created"], report["left_out"]) == (3, 0, 1)
    assert take(api, text)["unchanged"] == 3
    assert [(row["emails"], row["phones"]) for row in sheet(api)] == [
        ("ada@example.com\nat home", "'+41446681800 (cell)"),
        ("", "'+41446681800"),
        ("", "'+41446681801"),
    ]


def test_a_text_that_is_too_long_is_shortened(api):
    text = f"name,email,company,tags\nAda,ada@example.com (  {'e' * 61}),{'c' * 301},{'t' * 101}\n"
    report = take(api, text)
    assert (report["created"], report["shortened"], report["problems"]) == (1, 3, [])
    assert [one["field"] for one in report["items"][0]["shortened"]] == [
        "company", "tags[0]", "emails[0].label",
    ]  # fmt: skip
    assert take(api, text)["unchanged"] == 1
    (row,) = sheet(api)
    assert (row["company"], row["tags"]) == ("c" * 300, "t" * 100)
    assert row["emails"] == f"ada@example.com ({'e' * 60})"


def test_broken_quotes_end_the_reading_and_say_where(api):
    report = take(api, 'name,notes\nAda,fine\nBob,"never closed\nCarl,lost\n')
    assert people(api) == ["Ada"]
    (problem,) = report["problems"]
    assert problem["line"] == 3
    assert "nothing after it" in problem["errors"]["row"]


def test_a_header_that_names_nobody_is_refused(api):
    for text in ("colour,size\nred,1\n", "", '"broken', ",".join(["name"] * 301)):
        answer = send(api, text or " ", "text/csv")
        assert "header" in wrong_fields(answer), text


def test_a_preview_keeps_nothing(api):
    report = take(api, GOOGLE, "?preview=true")
    assert (report["preview"], report["created"]) == (True, 1)
    assert made(api.get("/contacts"))["items"] == []
    assert made(api.get("/tags"))["items"] == []


def test_sheets_of_other_charsets(api):
    assert take(api, "name\nZoë\n")["created"] == 1
    latin = "name\nÅsa\n".encode("windows-1252")
    assert "body" in wrong_fields(send(api, latin, "text/csv"))
    assert made(send(api, latin, "text/csv; charset=windows-1252"))["created"] == 1
    wide = "name\tcity\nOlga Ольга\tOslo\n".encode("utf-16")
    assert made(send(api, wide, "text/csv; charset=utf-16"))["created"] == 1
    assert people(api) == ["Olga Ольга", "Zoë", "Åsa"]


def test_the_reader_and_the_writer_know_the_same_columns():
    ignored, rows = read_sheet(write_header() + "x" * 3)
    assert ignored == []
    row = dict.fromkeys(COLUMNS, "")
    row |= {"emails": [], "phones": [], "tags": [], "last_contact_at": None, "pinned": False}
    assert write_row(row).count(",") == len(COLUMNS) - 1
    assert len(list(rows)) == 1
