"""vCards in and out: over REST as address books send them, and the format itself."""

import base64
import json
import re
import threading
import time
import uuid
from datetime import UTC, datetime

import pytest
import vobject
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st

from config.lib.errors import Invalid
from config.lib.redact import redact_text
from config.lib.scope import workspace_scope
from contacts.services.addresses import Labelled, normal_emails, normal_phones, normal_tags
from contacts.services.vcard_lines import fold, read_line, split_lines, unfold
from contacts.services.vcards import MAX_CARD, read_card, split_cards, write_card
from contacts.services.workspaces import update_workspace
from tests.api.caller import ROOT, Caller, made, problem, wrong_fields
from tests.factories import ALICE
from tests.redaction import SECRETS

APPLE = """BEGIN:VCARD
VERSION:3.0
PRODID:-//Apple Inc.//iPhone OS 17.0//EN
N:Lovelace;Ada;King;Countess;
FN:Ada Lovelace
ORG:Analytical Engines;Programs
TITLE:Programmer
item1.EMAIL;type=INTERNET;type=pref:Ada@Example.com
item1.X-ABLabel:_$!<School>!$_
EMAIL;type=INTERNET;type=HOME:ada@home.example
item2.TEL:+44 20 7946 0000
item2.X-ABLabel:Desk\\, upstairs
TEL;type=CELL;type=VOICE;type=pref:+41 (44) 668-18-00
item3.ADR;type=HOME:;;12 St James's Square;London;;SW1Y 4LB;United Kingdom
item3.X-ABADR:gb
item4.URL;type=pref:https://example.com/a?b=c\\,d
item4.X-ABLabel:_$!<HomePage>!$_
NOTE:Likes numbers\\, and tea.\\nWrites \\;long\\; letters.
CATEGORIES:Client,Friends of Charles
BDAY:1815-12-10
X-SOCIALPROFILE;type=mastodon:https://example.com/@ada
PHOTO;ENCODING=b;TYPE=JPEG:/9j/4AAQSkZJRgABAQ
 AAAQABAAD/2wBDAAMCAgICAgMC
UID:AAAA-1:odd\\,uid
REV:2024-01-01T00:00:00Z
END:VCARD
""".replace("\n", "\r\n")

SECRET = "ghp_" + "a1B2" * 9

FOUR = """BEGIN:VCARD
VERSION:4.0
KIND:individual
UID:urn:uuid:4fbe8971-0bc3-424c-9c26-36c3e1eff6b1
FN;PREF=1:Simon Perreault
FN;PREF=2:Simon
N:Perreault;Simon;;;ing. jr,M.Sc.
BDAY:--0203
ORG;SORT-AS="Viagenie":Viagenie
ADR;TYPE=work;LABEL="Suite D2-630; 2875 Laurier":;Suite D2-630;2875 Laurier;Quebec;QC;G1V 2M2;Canada
TEL;VALUE=uri;TYPE="work,voice";PREF=2:tel:+1-418-656-9254;ext=102
TEL;VALUE=uri;TYPE="cell,voice,video,text";PREF=1:tel:+1-418-262-6501
EMAIL;TYPE=work:simon.perreault@viagenie.example
CATEGORIES:ietf,vcard
NOTE:Zeile eins\\nZeile zwei
END:VCARD
""".replace("\n", "\r\n")

TWO_ONE = (
    "BEGIN:VCARD\nVERSION:2.1\nN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:M=C3=BCller;J=C3=B6rg\n"
    "TEL;CELL;PREF:+491701234567\nEMAIL;INTERNET;WORK:joerg@example.com\n"
    "NOTE;ENCODING=QUOTED-PRINTABLE;CHARSET=UTF-8:erste=0D=0Azw=\neite; Zeile\n"
    "PHOTO;JPEG;BASE64:/9j/4AAQ\n\nX-HAIR;ENCODING=QUOTED-PRINTABLE:bl=6Fnd\nEND:VCARD\n"
)


def card(name="Ada", *lines, version="3.0"):
    return "\r\n".join(["BEGIN:VCARD", f"VERSION:{version}", f"FN:{name}", *lines, "END:VCARD", ""])


def send(api: Caller, text, content_type="text/vcard", query=""):
    return api.client.generic(
        "POST",
        f"{ROOT}/contacts/import{query}",
        text if isinstance(text, bytes) else text.encode(),
        content_type=content_type,
        headers={"authorization": f"Bearer {api.token}"},
    )


def take(api: Caller, text, query=""):
    report = made(send(api, text, query=query))
    assert report["problems"] == []
    return report["items"]


def only(api: Caller):
    (row,) = made(api.get("/contacts"))["items"]
    return made(api.get(f"/contacts/{row['id']}"))


def people(api: Caller):
    return sorted(row["name"] for row in made(api.get("/contacts"))["items"])


def exported(api: Caller, row, version="4.0"):
    answer = api.get(f"/contacts/{row['id']}.vcf", version=version)
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/vcard; charset=utf-8"
    return answer.content.decode()


def logical(text):
    return [line for _, line in unfold(split_lines(text))]


# --- In ---------------------------------------------------------------------------------------


def test_an_address_books_card_becomes_a_contact(api):
    (item,) = take(api, APPLE)
    assert (item["place"], item["line"], item["action"]) == (1, 1, "created")
    contact = only(api)
    assert (contact["name"], contact["company"], contact["role"], contact["location"]) == (
        "Ada Lovelace", "Analytical Engines", "Programmer", "London, United Kingdom",
    )  # fmt: skip
    assert contact["emails"] == [
        {"email": "ada@example.com", "label": "school"},
        {"email": "ada@home.example", "label": "home"},
    ]
    assert contact["phones"] == [
        {"number": "+41446681800", "label": "cell"},
        {"number": "+442079460000", "label": "Desk, upstairs"},
    ]
    assert contact["notes"] == "Likes numbers, and tea.\nWrites ;long; letters."
    assert contact["tags"] == ["client", "friends of charles"]
    assert contact["vcard_uid"] == "AAAA-1:odd\\,uid", "opaque, to the letter"
    created = made(api.get(f"/contacts/{contact['id']}/history"))["items"][0]
    assert created["channel"] == "import"


def test_vcard_4_with_its_uris_and_quoted_lists(api):
    take(api, FOUR)
    contact = only(api)
    assert contact["name"] == "Simon Perreault"
    assert contact["phones"] == [
        {"number": "+14182626501", "label": "cell video text"},
        {"number": "+14186569254", "label": "work ext. 102"},
    ]
    assert (contact["location"], contact["tags"]) == ("Quebec, QC, Canada", ["ietf", "vcard"])
    assert contact["notes"] == "Zeile eins\nZeile zwei"


def test_vcard_2_1_with_quoted_printable(api):
    take(api, TWO_ONE)
    contact = only(api)
    assert contact["name"] == "Jörg Müller"
    assert contact["notes"] == "erste\nzweite; Zeile"
    assert contact["phones"] == [{"number": "+491701234567", "label": "cell"}]
    out = logical(exported(api, contact))
    assert "PHOTO:data:image/jpeg;base64,/9j/4AAQ" in out
    assert "X-HAIR:blond" in out


def test_androids_own_labels(api):
    how = "X-CUSTOM(CHARSET=UTF-8,ENCODING=QUOTED-PRINTABLE,=42=C3=BC=72=6F 2)"
    text = card("Ayşe", f"TEL;{how}:+90 212 244 00 00", "EMAIL;X-CUSTOM(Atelier):a@example.com",
                version="2.1")  # fmt: skip
    take(api, text)
    for _ in range(2):
        contact = only(api)
        assert contact["phones"] == [{"number": "+902122440000", "label": "büro 2"}]
        assert contact["emails"] == [{"email": "a@example.com", "label": "atelier"}]
        take(api, exported(api, contact, "3.0"))


def test_a_broken_card_is_reported_with_its_place_and_the_rest_goes_in(api):
    text = "".join(
        [
            card("Good One"),
            card("Bad Place", f"UID:{'x' * 400}"),
            "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Never Ends\r\n",
            card("Good Two", "EMAIL:two@example.com"),
            "stray\r\nlines\r\n",
            card("", "NOTE:nobody", "EMAIL:at home"),
            card("Bad Line", "this is no property"),
            card("Good Three"),
            "BEGIN:VCARD\r\nFN:Cut o",
        ]
    )
    report = made(send(api, text))
    assert people(api) == ["Good One", "Good Three", "Good Two"]
    assert (report["created"], report["refused"]) == (3, 6)
    problems = [(one["place"], one["line"], *one["errors"]) for one in report["problems"]]
    assert problems == [
        (2, 5, "UID"),
        (3, 10, "card"),
        (5, 18, "card"),
        (6, 20, "FN", "emails[0].email"),
        (7, 26, "line 4"),
        (9, 35, "card"),
    ]


def set_region(workspace, region="CH"):
    with workspace_scope(workspace.id):
        update_workspace(actor=ALICE, settings={"region": region})


MIXED = (
    card("Ada", "TEL;TYPE=cell:044 668 18 00", "TEL:+44 20 7946 0000", "EMAIL:at home")
    + card("Byron", "TEL:044 668 18 01", "NOTE:nothing else tells who he is")
    + card("Clara", "UID:u-3", "item1.TEL:044 668 18 02", "item1.X-ABLabel:Desk; left")
    + card("", "TEL:+41446681803")
)


def test_an_address_that_cannot_be_read_is_left_out_and_kept(api):
    report = made(send(api, MIXED))
    assert (report["created"], report["left_out"], report["problems"]) == (4, 4, [])
    first = report["items"][0]["left_out"]
    assert [(one["field"], one["value"]) for one in first] == [
        ("emails[0].email", "at home"),
        ("phones[0].number", "044 668 18 00 (cell)"),
    ]
    assert "set `region`" in first[1]["why"]
    rows = {row["name"]: row for row in everybody(api)}
    assert sorted(rows) == ["+41446681803", "Ada", "Byron", "Clara"]
    assert rows["Ada"]["emails"] == []
    assert rows["Ada"]["phones"] == [{"number": "+442079460000", "label": ""}]
    assert rows["Ada"]["unreadable"] == {"emails": ["at home"], "phones": ["044 668 18 00 (cell)"]}
    for version in ("3.0", "4.0"):
        out = logical(exported(api, rows["Ada"], version))
        assert {"EMAIL:at home", "TEL:+44 20 7946 0000"} <= set(out)
        assert "TEL;TYPE=cell:044 668 18 00" in out


def everybody(api):
    return [made(api.get(f"/contacts/{row['id']}")) for row in made(api.get("/contacts"))["items"]]


def test_after_the_region_was_set_the_same_file_brings_the_numbers(api, workspace):
    first = made(send(api, MIXED))
    before = everybody(api)
    again = made(send(api, MIXED))
    assert (again["unchanged"], again["left_out"]) == (4, first["left_out"])
    assert everybody(api) == before
    set_region(workspace)
    preview = made(send(api, MIXED, query="?preview=true"))
    assert (preview["updated"], preview["left_out"]) == (3, 1)
    assert everybody(api) == before
    report = made(send(api, MIXED))
    assert (report["updated"], report["unchanged"], report["left_out"]) == (3, 1, 1)
    assert [one["contact_id"] for one in report["items"]] == [
        one["contact_id"] for one in first["items"]
    ]
    rows = {row["name"]: row for row in everybody(api)}
    assert rows["Ada"]["unreadable"] == {"emails": ["at home"], "phones": []}
    assert {one["number"]: one["label"] for one in rows["Ada"]["phones"]} == {
        "+442079460000": "", "+41446681800": "cell",
    }  # fmt: skip
    assert rows["Byron"]["phones"] == [{"number": "+41446681801", "label": ""}]
    assert rows["Clara"]["phones"] == [{"number": "+41446681802", "label": "Desk; left"}]
    assert made(send(api, MIXED))["unchanged"] == 4
    # What a person removes after it was read stays away.
    made(api.patch(f"/contacts/{rows['Clara']['id']}", {"phones": []}, if_match="*"))
    assert made(send(api, MIXED))["unchanged"] == 4


def test_what_the_region_read_before_stays_without_one(api, workspace):
    set_region(workspace)
    take(api, MIXED.replace("EMAIL:at home\r\n", ""))
    before = everybody(api)
    set_region(workspace, None)
    report = made(send(api, MIXED.replace("EMAIL:at home\r\n", "")))
    assert (report["unchanged"], report["left_out"]) == (4, 3)
    assert everybody(api) == before


def test_a_changed_card_takes_what_was_unreadable_away(api):
    text = card("Ada", "UID:u-1", "TEL:call me", "EMAIL:ada@example.com")
    made(send(api, text))
    take(api, text.replace("TEL:call me", "TEL:+41446681800"))
    contact = only(api)
    assert contact["unreadable"] == {"emails": [], "phones": []}
    assert contact["phones"] == [{"number": "+41446681800", "label": ""}]


def test_what_could_not_be_read_comes_out_beside_what_was_changed_here(api, workspace):
    made(send(api, MIXED))
    clara = next(row for row in everybody(api) if row["name"] == "Clara")
    body = {"phones": ["+442079460009"]}
    made(api.patch(f"/contacts/{clara['id']}", body, if_match="*"))
    text = exported(api, clara)
    assert {"TEL;VALUE=uri:tel:+442079460009", "item1.TEL:044 668 18 02"} <= set(logical(text))
    assert "item1.X-ABLABEL:Desk; left" in logical(text)
    for action in ("updated", "unchanged"):  # first its raw card, then nothing
        report = made(send(api, text))
        assert (report[action], report["left_out"]) == (1, 1)
    after = made(api.get(f"/contacts/{clara['id']}"))
    assert after["unreadable"] == clara["unreadable"]
    assert [one["number"] for one in after["phones"]] == body["phones"]
    # The region alone reads nothing: only an import does.
    set_region(workspace)
    assert "item1.TEL:044 668 18 02" in logical(exported(api, clara))


def dismiss(api, row):
    assert api.delete(f"/contacts/{row['id']}/unreadable", if_match="*").status_code == 204


def test_what_is_of_no_use_is_taken_out_and_stays_out(api, workspace):
    """Neither exports nor the same card, nor the region, bring it again."""
    made(send(api, MIXED))
    rows = {row["name"]: row for row in everybody(api)}
    for name in ("Ada", "Clara"):
        row = rows[name]
        path = f"/contacts/{row['id']}/unreadable"
        assert api.delete(path, if_match='"7"').status_code == 412
        assert api.delete(path, if_match=f'"{row["version"]}"').status_code == 204
        assert api.delete(path, if_match="*").status_code == 204, "there is nothing any more"
        after = made(api.get(f"/contacts/{row['id']}"))
        assert after["unreadable"] == {"emails": [], "phones": []}
        assert (after["phones"], after["version"]) == (row["phones"], 2)
        for version in ("3.0", "4.0"):
            text = exported(api, after, version)
            assert "at home" not in text
            assert "044 668" not in text
    assert "TEL:+44 20 7946 0000" in logical(exported(api, rows["Ada"])), "as the card has it"
    before = everybody(api)
    report = made(send(api, MIXED))
    assert (report["unchanged"], report["left_out"]) == (4, 1), "Byron's number alone"
    assert everybody(api) == before
    set_region(workspace)
    report = made(send(api, MIXED))
    assert (report["updated"], report["unchanged"]) == (1, 3), "Byron alone gets his number"
    (change,) = made(api.get(f"/contacts/{rows['Ada']['id']}/history?limit=1"))["items"]
    made(api.post(f"/revisions/{change['id']}/undo", {}))
    assert (
        made(api.get(f"/contacts/{rows['Ada']['id']}"))["unreadable"] == rows["Ada"]["unreadable"]
    )
    assert made(send(api, MIXED))["updated"] == 1
    assert "+41446681800" in str(made(api.get(f"/contacts/{rows['Ada']['id']}"))["phones"])


MAIL = "EMAIL:ada@example.com"


@pytest.mark.parametrize(
    "files",
    [
        pytest.param([card("Ada", MAIL, "TEL:call me") + card("Ada", MAIL, "TEL:at home")],
                     id="two cards in a file"),
        pytest.param([card("Ada", MAIL), card("Ada", "UID:u-9", MAIL, "TEL:ring me")],
                     id="a second file, whose UID it gets"),
        pytest.param([card("Ada", MAIL), card("Ada", MAIL, "NOTE:x", "TEL:044 668 18 00")],
                     id="another card than the one that is kept"),
        pytest.param(["name,emails,phones\nAda,ada@example.com,044 668 18 00\n"], id="a sheet"),
        pytest.param(["name,phones\nAda,044 668 18 00\n"], id="a sheet, known by its row"),
    ],
)  # fmt: skip
def test_what_was_dismissed_comes_with_no_card(api, workspace, files):
    def bring():
        for text in files:
            kind = "text/vcard" if text.startswith("BEGIN") else "text/csv"
            report = made(send(api, text, content_type=kind))
        return report

    assert bring()["left_out"] > 0
    dismiss(api, only(api))
    for region in (None, "CH"):
        if region:
            set_region(workspace, region)
        assert bring()["left_out"] == 0
        row = only(api)
        assert (row["unreadable"], row["phones"]) == ({"emails": [], "phones": []}, [])


def test_a_dismissed_number_that_was_typed_rightly_stays(api, workspace):
    """Only what the card says is passed over, not what a person wrote in its place."""
    text = card("Ada", "UID:u-1", MAIL, "TEL:044 668 18 00", "TEL:044 668 18 01")
    made(send(api, text))
    row = only(api)
    dismiss(api, row)
    made(api.patch(f"/contacts/{row['id']}", {"phones": ["+41446681800"]}, if_match="*"))
    set_region(workspace)
    for again in (text, text.replace("TEL:044 668 18 01\r\n", "")):
        made(send(api, again))
        assert [one["number"] for one in only(api)["phones"]] == ["+41446681800"]


def test_what_is_dismissed_after_a_merge_stays_out_and_the_merge_can_be_undone(api, workspace):
    text = card("Ada", "UID:u-1", "TEL:at work", MAIL)
    text += card("Countess", "UID:u-2", "EMAIL:c@example.com", "TEL:044 668 18 00")
    made(send(api, text))
    rows = {row["name"]: row for row in everybody(api)}
    path = f"/contacts/{rows['Ada']['id']}/merge"
    made(api.post(path, {"source_id": rows["Countess"]["id"]}))
    dismiss(api, only(api))
    set_region(workspace)
    made(send(api, text))
    assert (only(api)["phones"], only(api)["unreadable"]["phones"]) == ([], [])
    answer = made(api.post(f"/contacts/{rows['Countess']['id']}/unmerge", {}))
    assert answer["target"]["unreadable"]["phones"] == []
    assert answer["source"]["unreadable"]["phones"] == ["044 668 18 00"]


def test_a_card_of_more_addresses_than_are_kept_is_written_whole(api):
    """Also without what was dismissed of it, and with what its other lines say beside the value."""
    lines = [f"EMAIL;TYPE=WORK;X-FOO={n}:u{n}@example.com" for n in range(120)]
    made(send(api, card("List", "UID:u-5", *lines, "TEL:call me")))

    def written():
        out = logical(exported(api, only(api), "3.0"))
        return [n for n in range(120) if f"EMAIL;TYPE=work;X-FOO={n}:u{n}@example.com" in out]

    assert written() == list(range(120))
    dismiss(api, only(api))
    assert written() == [*range(50), *range(100, 120)]


def test_a_merge_unites_what_could_not_be_read(api, workspace):
    made(send(api, MIXED))
    rows = {row["name"]: row for row in everybody(api)}
    before = rows["Ada"]
    path = f"/contacts/{before['id']}/merge"
    made(api.post(path, {"source_id": rows["Clara"]["id"]}))
    ada = made(api.get(f"/contacts/{before['id']}"))
    assert ada["unreadable"]["phones"] == ["044 668 18 00 (cell)", "044 668 18 02 (Desk; left)"]
    out = logical(exported(api, ada))
    assert {"TEL;TYPE=cell:044 668 18 00", "EMAIL:at home"} <= set(out)
    assert any(line.endswith(".TEL:044 668 18 02") for line in out), out
    made(api.post(f"/contacts/{rows['Clara']['id']}/unmerge", {}))
    assert made(api.get(f"/contacts/{before['id']}"))["unreadable"] == before["unreadable"]
    made(api.post(path, {"source_id": rows["Clara"]["id"]}))
    set_region(workspace)
    made(send(api, MIXED))
    after = made(api.get(f"/contacts/{before['id']}"))
    assert after["unreadable"] == {"emails": ["at home"], "phones": []}
    assert {one["number"] for one in after["phones"]} == {
        "+442079460000", "+41446681800", "+41446681802",
    }  # fmt: skip


def test_one_contact_is_written_as_strictly_as_ever(api):
    for body in ({"phones": ["044 668 18 00"]}, {"emails": ["at home"]}, {"unreadable": {}}):
        assert wrong_fields(api.post("/contacts", {"name": "Ada", **body}))
    assert everybody(api) == []
    # No name and no address that can be read: nobody.
    report = made(send(api, card("", "TEL:044 668 18 00") + card("", "EMAIL:Ada@example.com")))
    assert (report["created"], report["refused"], people(api)) == (1, 1, ["ada@example.com"])
    assert list(report["problems"][0]["errors"]) == ["FN", "phones[0].number"]


def test_a_card_of_too_many_addresses_keeps_fifty(api):
    lines = [f"TEL:+4144668{n:04}" for n in range(60)]
    lines += [f"EMAIL:{'x' * 400}{n}@example.com" for n in range(60)]
    text = card("Ada", *lines, f"TEL:{'y' * 100_000}")
    report = made(send(api, text))
    assert (report["created"], report["left_out"]) == (1, 71)
    contact = only(api)
    assert len(contact["phones"]) == len(contact["unreadable"]["emails"]) == 50
    assert max(map(len, contact["unreadable"]["phones"])) == 500
    assert all(len(one["value"]) < 100 for one in report["items"][0]["left_out"])
    assert made(send(api, text))["unchanged"] == 1


def long_card(*lines):
    return card(
        "Ada", "UID:u-1", "ORG:" + "c" * 299 + " tail", "ADR:;;;" + "l" * 400 + ";;;",
        "TITLE:" + "r" * 201, f"NOTE:{SECRET} " + "n" * 100_001,
        "CATEGORIES:short," + "T" * 101 + "," + ",".join(f"a{n:03}" for n in range(120)),
        "item1.EMAIL:ada@example.com", "item1.X-ABLABEL:" + "e" * 61,
        "item2.TEL:+41446681800 x12", "item2.X-ABLABEL:" + "p" * 61, *lines,
    )  # fmt: skip


def test_texts_that_are_too_long_are_shortened_and_the_card_is_kept(api):
    """A long address costs nobody a contact; what is over comes out of the export again."""
    text = card("f" * 301, "UID:u-0") + long_card()
    report = made(send(api, text))
    assert (report["created"], report["refused"], report["shortened"]) == (2, 0, 9)
    cut = report["items"][1]["shortened"]
    assert [one["field"] for one in cut] == [
        "company", "role", "location", "notes", "tags[1]",
        "tags", "emails[0].label", "phones[0].label",
    ]  # fmt: skip
    assert cut[0]["why"] == "has 304 characters; at most 300 are kept"
    assert cut[5]["why"] == "122 tags; at most 100 are kept"
    assert cut[5]["value"].startswith("a098, a099, ")
    assert all(len(one["value"]) < 100 and SECRET not in one["value"] for one in cut)
    contact = next(one for one in everybody(api) if one["name"] == "Ada")
    contact = made(api.get(f"/contacts/{contact['id']}"))
    assert contact["company"] == "c" * 299
    assert (len(contact["role"]), len(contact["location"]), len(contact["notes"])) == (
        200, 300, 100_000,
    )  # fmt: skip
    assert SECRET not in contact["notes"]
    assert len(contact["tags"]) == 100
    assert {"short", "t" * 100, "a000", "a097"} <= set(contact["tags"])
    assert contact["emails"] == [{"email": "ada@example.com", "label": "e" * 60}]
    assert contact["phones"] == [{"number": "+41446681800", "label": "p" * 52 + " ext. 12"}]
    # The same again is the same, and goes out as it came.
    assert made(send(api, text))["unchanged"] == 2
    given = {line for line in logical(long_card()) if not line.startswith("NOTE")}
    assert given <= set(logical(exported(api, contact, "3.0")))
    # What was changed here is what goes out, the rest as it was; a card does not undo it.
    changes = {"company": "Short", "tags": ["short"]}
    made(api.patch(f"/contacts/{contact['id']}", changes, if_match="*"))
    lines = logical(exported(api, contact))
    assert "ORG:Short" in lines
    assert "CATEGORIES:short" in lines
    assert "TITLE:" + "r" * 201 in lines
    assert made(send(api, text))["unchanged"] == 2
    # What the card changes is taken.
    own = [
        "X-REMEMBRANCER-RELATIONSHIP:" + "s" * 201,
        "X-REMEMBRANCER-DESCRIPTION:" + "d" * 100_001,
    ]
    report = made(send(api, long_card(*own)))
    assert (report["updated"], report["shortened"]) == (1, 10)
    contact = made(api.get(f"/contacts/{contact['id']}"))
    assert (contact["company"], len(contact["relationship"])) == ("Short", 200)
    assert set(own) <= set(logical(exported(api, contact)))


def test_no_secret_is_cut_in_two(api):
    """Nobody would know its beginning again, nor in another case."""
    jwt = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5"
    secrets = [SECRET, jwt, "AKIAIOSFODNN7EXAMPLE"]
    text = card(
        "Ada", "UID:u-1", "ORG:" + "c" * 281 + f" {SECRET}", "TITLE:" + "r" * 185 + f" {jwt}",
        "NOTE:" + "n" * 99_970 + f" {SECRET}",
        "ADR:;;;" + "l" * 270 + ' {"password": "hunter2hunter2xyzw"};;;',
        f"CATEGORIES:{jwt}{'x' * 20},AKIAIOSFODNN7EXAMPLE,{'t' * 90} {SECRET}",
        "item1.EMAIL:ada@example.com", f"item1.X-ABLABEL:{'e' * 40} {SECRET}",
    )  # fmt: skip
    for action in ("created", "unchanged"):
        report = made(send(api, text))
        assert report[action] == 1, report
        stored = json.dumps([report, only(api), exported(api, only(api))]).casefold()
        for secret in secrets:
            assert secret[:10].casefold() not in stored
        assert "hunter2" not in stored
    contact = only(api)
    assert (contact["company"], contact["role"]) == ("c" * 281, "r" * 185)
    # What was taken out by hand does not come again.
    made(api.patch(f"/contacts/{contact['id']}", {"tags": []}, if_match="*"))
    assert (made(send(api, text))["unchanged"], only(api)["tags"]) == (1, [])


def test_a_card_adds_to_a_contact_what_it_has_room_for(api):
    """Who was there before keeps what is there."""
    mine = {
        "name": "Ada", "notes": "Met at the fair.", "tags": ["mine"],
        "emails": ["ada@example.com", *(f"{n}@example.com" for n in range(30))],
    }  # fmt: skip
    made(api.post("/contacts", mine))
    many = [f"EMAIL:x{n}@example.com" for n in range(30)]
    text = card(
        "Ada", "EMAIL:ada@example.com", "NOTE:" + "n" * 99_999, *many,
        "CATEGORIES:" + ",".join(f"t{n:03}" for n in range(100)),
    )  # fmt: skip
    report = made(send(api, text))
    assert (report["updated"], report["refused"]) == (1, 0)
    cut = report["items"][0]["shortened"]
    assert [(one["field"], one["why"].split(";")[0]) for one in cut] == [
        ("notes", "has 100,017 characters"), ("emails", "61 emails"), ("tags", "101 tags"),
    ]  # fmt: skip
    contact = only(api)
    assert contact["notes"] == "Met at the fair.\n\n" + "n" * 99_982
    assert (len(contact["tags"]), "mine" in contact["tags"]) == (100, True)
    assert len(contact["emails"]) == 50
    assert {one["email"] for one in contact["emails"]} >= {"29@example.com", "x18@example.com"}
    assert made(send(api, text))["unchanged"] == 1


def test_a_label_keeps_its_extension_and_gets_none(api):
    text = card(
        "Ada", "TEL:044 668 18 00",
        "item1.TEL:+41446681801", f"item1.X-ABLABEL:{'p' * 51} ext. 12 desk",
        "item2.TEL:+41446681802", f"item2.X-ABLABEL:{'q' * 70} ext. 34", "CATEGORIES:a\u037eb",
    )  # fmt: skip
    (item,) = take(api, text)
    assert [one["field"] for one in item["left_out"]] == ["phones[0].number"]
    assert [one["field"] for one in item["shortened"]] == ["phones[1].label", "phones[2].label"]
    contact = only(api)
    assert [one["label"] for one in contact["phones"]] == ["p" * 51, "q" * 52 + " ext. 34"]
    assert contact["tags"] == ["a", "b"]


def test_what_is_no_import(api):
    assert problem(send(api, card(), "application/json"), 415)
    assert problem(send(api, card(), "text/vcard; charset=ebcdic"), 415)
    assert "body" in wrong_fields(send(api, b"\xff\xfe", "text/vcard"))
    many = card("x") * 1_001
    assert "body" in wrong_fields(send(api, many))
    assert people(api) == []
    assert made(send(api, " \n"))["items"] == []
    take(api, card("Müller"))
    latin = card("Ångström").encode("windows-1252")
    assert made(send(api, latin, "text/vcard; charset=windows-1252"))["created"] == 1
    assert people(api) == ["Müller", "Ångström"]


# --- In again ---------------------------------------------------------------------------------


def test_the_same_file_again_changes_nothing(api):
    take(api, APPLE + FOUR)
    before = [
        made(api.get(f"/contacts/{row['id']}")) for row in made(api.get("/contacts"))["items"]
    ]
    items = take(api, APPLE + FOUR)
    assert [(one["action"], one["matched_by"]) for one in items] == [("unchanged", "uid")] * 2
    after = [made(api.get(f"/contacts/{row['id']}")) for row in made(api.get("/contacts"))["items"]]
    assert after == before


def test_a_changed_card_changes_what_changed_in_it_and_nothing_else(api):
    take(api, APPLE)
    contact = only(api)
    mine = {
        "notes": "My own notes.",
        "emails": ["ada@example.com", "mine@example.com"],
        "tags": ["client", "mine"],
    }
    made(api.patch(f"/contacts/{contact['id']}", mine, if_match="*"))
    changed = (
        APPLE.replace("TITLE:Programmer", "TITLE:Countess")
        .replace("CATEGORIES:Client,Friends of Charles", "CATEGORIES:Royal")
        .replace("item1.EMAIL;type=INTERNET;type=pref:Ada@Example.com", "EMAIL:new@example.com")
    )
    (item,) = take(api, changed)
    assert item["action"] == "updated"
    after = only(api)
    assert (after["role"], after["notes"]) == ("Countess", "My own notes.")
    assert [one["email"] for one in after["emails"]] == ["mine@example.com", "new@example.com"]
    assert after["tags"] == ["mine", "royal"]


def test_uid_then_email_then_phone_and_never_the_name(api):
    take(api, card("Ada", "UID:u-1", "EMAIL:ada@example.com", "TEL:+41446681800"))
    by_uid = card("Ada L", "UID:u-1", "EMAIL:other@example.com")
    by_email = card("Ada M", "EMAIL:ADA@example.com")
    by_phone = card("Ada N", "TEL:+41 44 668 18 00")
    for text, how in ((by_email, "email"), (by_phone, "phone"), (by_uid, "uid")):
        (item,) = take(api, text)
        assert item["matched_by"] == how
    assert people(api) == ["Ada L"]
    contact = only(api)
    assert [one["email"] for one in contact["emails"]] == ["other@example.com"]
    assert contact["phones"] == [], "the card of that UID has none any more"
    (item,) = take(api, card("Ada L"))
    assert (item["action"], item["matched_by"]) == ("created", "")
    assert people(api) == ["Ada L", "Ada L"]


def test_people_who_share_an_address_stay_apart(api):
    family = (
        card("Ada", "UID:u-1", "TEL:+41446681800")
        + card("Byron", "UID:u-2", "TEL:+41446681800")
        + card("Clara", "TEL:+41446681800")
        + card("Dora", "EMAIL:info@example.com")
        + card("Emil", "EMAIL:info@example.com")
    )
    take(api, family)
    assert people(api) == ["Ada", "Byron", "Clara", "Dora", "Emil"]
    again = take(api, family)
    assert [one["matched_by"] for one in again] == ["uid", "uid", "phone", "email", "email"]
    assert people(api) == ["Ada", "Byron", "Clara", "Dora", "Emil"]


def test_a_colleague_of_another_file_at_the_same_switchboard_is_somebody_else(api):
    ada = made(api.post("/contacts", {
        "name": "Ada", "emails": ["ada@example.com"], "phones": ["+41446681800"],
    }))  # fmt: skip
    number = "TEL;TYPE=WORK:+41446681800"
    (item,) = take(api, card("Charles", "EMAIL:charles@example.com", number))
    assert (item["action"], item["matched_by"]) == ("created", "")
    assert made(api.get(f"/contacts/{ada['id']}")) == ada
    (group,) = made(api.get("/contacts/duplicates"))["items"]
    assert [one["reason"] for one in group["reasons"]] == ["same_phone"], "a person may say"
    for line in (card("Ada King", number), card("Ada King", "EMAIL:new@example.com", number)):
        (item,) = take(api, line, "?preview=true")
        assert item["action"] == "created", "two have the number now, and other names"
    (item,) = take(api, card("Ada", "EMAIL:new@example.com", number))
    assert (item["contact_id"], item["matched_by"]) == (ada["id"], "phone")


@pytest.mark.django_db(transaction=True)
def test_one_file_sent_twice_at_once_makes_its_people_once(api):
    text = card("Ada", "EMAIL:ada@example.com") + card("Bob", "TEL:+41446681800")
    ready = threading.Barrier(3)
    answers = []

    def run():
        try:
            ready.wait(10)
            answers.append(send(api, text).json())
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted((a["created"], a["unchanged"]) for a in answers) == [(0, 2), (0, 2), (2, 0)]
    assert people(api) == ["Ada", "Bob"]


def test_a_card_without_a_uid_adds_to_a_contact_made_by_hand(api):
    body = {"name": "Ada", "notes": "Met in Bath.", "emails": ["ada@example.com"], "role": "Friend"}
    made(api.post("/contacts", body))
    take(api, card("Ada Lovelace", "UID:u-9", "EMAIL:ada@example.com", "NOTE:From her card."))
    contact = only(api)
    assert contact["notes"] == "Met in Bath.\n\nFrom her card."
    assert (contact["name"], contact["role"], contact["vcard_uid"]) == (
        "Ada Lovelace", "Friend", "u-9",
    )  # fmt: skip


def test_the_uid_of_a_merged_contact_updates_the_target(api):
    take(api, card("Ada", "UID:u-1") + card("Countess", "UID:u-2", "ORG:Old"))
    rows = {row["name"]: row for row in made(api.get("/contacts"))["items"]}
    path = f"/contacts/{rows['Ada']['id']}/merge"
    made(api.post(path, {"source_id": rows["Countess"]["id"]}))
    (item,) = take(api, card("Countess", "UID:u-2", "ORG:New", "X-MORE:1"))
    assert (item["contact_id"], item["action"]) == (rows["Ada"]["id"], "updated")
    contact = only(api)
    assert (contact["name"], contact["company"], contact["vcard_uid"]) == ("Ada", "New", "u-1")


def test_a_preview_says_what_would_happen_and_keeps_nothing(api):
    take(api, APPLE)
    before = only(api)
    text = APPLE.replace("Programmer", "Countess") + FOUR
    report = made(send(api, text, query="?preview=true"))
    assert (report["preview"], report["created"], report["updated"]) == (True, 1, 1)
    assert only(api) == before


# --- Out --------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["3.0", "4.0"])
@pytest.mark.parametrize("source", [APPLE, FOUR, TWO_ONE], ids=["apple", "rfc6350", "2.1"])
def test_a_card_comes_out_as_it_went_in(api, source, version):
    take(api, source)
    contact = only(api)
    text = exported(api, contact, version)
    assert_well_formed(text, version)
    before, after = read_card(source), read_card(text)
    assert after.uid == (before.uid or f"urn:uuid:{contact['id']}")
    for name in ("name", "company", "role", "location", "notes"):
        assert getattr(after, name) == getattr(before, name), name
    assert normal_emails(after.emails) == normal_emails(before.emails)
    assert normal_phones(after.phones, None) == normal_phones(before.phones, None)
    assert normal_tags(after.tags) == normal_tags(before.tags)
    ours = logical(text)
    for line in logical(source):
        name = re.split("[;:]", line)[0]
        if name in ("BDAY", "X-SOCIALPROFILE", "KIND", "item4.URL", "item3.X-ABADR"):
            value = line.split(":", 1)[1]
            assert any(o.startswith(name) and o.endswith(value) for o in ours), line
    assert ours.index(f"VERSION:{version}") == 1
    assert any(o.startswith("REV:20") for o in ours)
    # and in again: it is the same contact
    (item,) = take(api, text)
    assert (item["matched_by"], item["contact_id"]) == ("uid", contact["id"])
    assert_same(only(api), contact)


def assert_same(after, before):
    for name in ("name", "company", "role", "location", "notes", "emails", "phones", "tags"):
        assert after[name] == before[name], name


def assert_well_formed(text, version):
    assert text.startswith(f"BEGIN:VCARD\r\nVERSION:{version}\r\n")
    assert text.endswith("\r\nEND:VCARD\r\n")
    lines = text.split("\r\n")
    assert not any("\n" in line or "\r" in line for line in lines)
    assert max(len(line.encode()) for line in lines) <= 75
    # another reader takes it too
    read = vobject.readOne(text)
    if version == "3.0":
        assert read.validate(raiseException=True)


def test_a_photograph_takes_the_form_of_the_version(api):
    take(api, APPLE)
    contact = only(api)
    data = "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgICAgMC"
    assert f"PHOTO:data:image/jpeg;base64,{data}" in logical(exported(api, contact))
    three = logical(exported(api, contact, "3.0"))
    assert f"PHOTO;TYPE=jpeg;ENCODING=b:{data}" in three


def test_what_was_changed_here_is_what_comes_out(api):
    take(api, APPLE)
    contact = only(api)
    body = {"name": "Ada King", "location": "Bath", "phones": ["+442079460000"], "tags": []}
    made(api.patch(f"/contacts/{contact['id']}", body, if_match="*"))
    for version in ("3.0", "4.0"):
        text = exported(api, contact, version)
        assert_well_formed(text, version)
        back = read_card(text)
        assert (back.name, back.location, back.tags) == ("Ada King", "Bath", [])
        assert [one.value.removeprefix("tel:") for one in back.phones] == ["+442079460000"]
        lines = logical(text)
        assert "ORG:Analytical Engines;Programs" in lines, "its unit is not lost"
        assert not any("Desk" in line for line in lines), "labels go with their numbers"


def test_a_contact_made_by_hand_is_a_card_too(api):
    body = {
        "name": "Zoë; Müller, \\ Søn",
        "description": "Line one\nLine two; with, all \\ of it",
        "relationship": "aunt",
        "emails": [{"email": "zoe@example.com", "label": "the good one; yes"}],
        "phones": [{"number": "+41446681800", "label": "work ext. 12"}],
        "tags": ["claude_direct"],
        "notes": "ü" * 300,
    }
    contact = made(api.post("/contacts", body))
    for version in ("3.0", "4.0"):
        text = exported(api, contact, version)
        assert_well_formed(text, version)
        back = read_card(text)
        assert back.uid == f"urn:uuid:{contact['id']}"
        assert (back.name, back.description, back.relationship, back.notes) == (
            body["name"], body["description"], "aunt", body["notes"],
        )  # fmt: skip
        assert back.emails == [Labelled("zoe@example.com", "the good one; yes")]
        assert normal_phones(back.phones, None) == [Labelled("+41446681800", "work ext. 12")]
        (item,) = take(api, text)
        assert (item["contact_id"], item["matched_by"]) == (contact["id"], "uid")
    assert only(api)["vcard_uid"] == "", "its own UID needs no keeping"
    assert len(made(api.get("/contacts"))["items"]) == 1


def test_all_contacts_are_exported_with_the_lists_filters(api, stranger):
    for n in range(120):
        made(api.post("/contacts", {"name": f"C{n:03}", "tags": ["odd"] if n % 2 else []}))
    made(stranger.post("/contacts", {"name": "Charlie"}))
    for name, version in (("vcard3", "3.0"), ("vcard4", "4.0")):
        answer = api.get("/contacts/export", format=name)
        text = b"".join(answer.streaming_content).decode()
        assert answer["Content-Type"] == "text/vcard; charset=utf-8"
        assert "contacts.vcf" in answer["Content-Disposition"]
        names = [read_card(piece.text).name for piece in split_cards(text)]
        assert names == [f"C{n:03}" for n in range(120)]
        assert text.count(f"VERSION:{version}") == 120
    odd = b"".join(api.get("/contacts/export?tag=odd").streaming_content).decode()
    assert odd.count("BEGIN:VCARD") == 60
    assert "format" in wrong_fields(api.get("/contacts/export", format="xml"))
    assert "phone" in wrong_fields(api.get("/contacts/export", phone="nonsense"))
    empty = api.get("/contacts/export?tag=nobody")
    assert b"".join(empty.streaming_content) == b""


# --- Hostile cards ----------------------------------------------------------------------------


def test_a_huge_card_is_refused_and_a_large_one_taken(api):
    photo = base64.b64encode(b"\xff" * 600_000).decode()
    large = card("Large", f"PHOTO;ENCODING=b:{photo}")
    huge = card("Huge", f"PHOTO;ENCODING=b:{photo}{photo}")
    report = made(send(api, large + huge))
    assert people(api) == ["Large"]
    assert list(report["problems"][0]["errors"]) == ["vcard"]
    assert photo in "".join(logical(exported(api, only(api))))


def test_a_line_folded_a_hundred_thousand_times_is_read(api):
    note = "n" * 100_000
    folded = "\r\n ".join(note)
    assert len(folded) < MAX_CARD
    began = time.process_time()
    read = read_card(card("Ada", f"NOTE:{folded}"))
    assert read.notes == note
    # quadratic unfolding would take minutes, this takes a part of a second
    assert time.process_time() - began < 20


@pytest.mark.parametrize(
    "line",
    [
        "X;a=" + "," * 5000 + '"',
        "X" + ";a=b" * 5000,
        'X;a="' + "x" * 5000,
        "X;a=" + '"",' * 5000,
        ";" * 5000,
        ":" * 5000,
        "NOTE;ENCODING=QUOTED-PRINTABLE;CHARSET=nonsense:a=20b",
        "NOTE;ENCODING=QUOTED-PRINTABLE;CHARSET=UTF-8:=FF",
    ],
)
def test_a_line_that_is_none_is_refused_at_once(line):
    with pytest.raises(Invalid):
        read_line(line, 1)


@pytest.mark.parametrize("value", ["a\x00b", "x" * 400])
def test_values_that_cannot_be_kept_refuse_their_card_only(api, value):
    report = made(send(api, card("Good") + card("Bad", f"ORG:{value}", f"UID:{value}")))
    assert people(api) == ["Good"]
    assert report["refused"] == 1


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300), st.sampled_from(["vcard", "lines"]))
def test_no_text_breaks_the_reader(text, how):
    try:
        if how == "lines":
            read_card(f"BEGIN:VCARD\r\n{text}\r\nEND:VCARD\r\n")
        else:
            for piece in split_cards(f"BEGIN:VCARD\n{text}\nEND:VCARD\n"):
                assert piece.problem or read_card(piece.text)
    except Invalid:
        pass


# --- Round trips ------------------------------------------------------------------------------

TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00\r"), max_size=120
).map(str.strip)
LINE = TEXT.map(lambda text: " ".join(text.split()))
LABEL = st.one_of(
    st.sampled_from(["", "home", "work", "work home", "Work", "voice", "desk; 2", "cell fax"]),
    LINE.map(lambda text: re.sub(r"[()\x00-\x1f\x7f]", "", text)[:40]),
)
EMAIL = st.from_regex(r"[a-zé'+.]{1,12}@[a-z0-9-]{1,12}\.example", fullmatch=True)
NUMBER = st.integers(20_000_000, 89_999_999).map(lambda n: f"+4120{n}"[:12])
TAG = LINE.map(lambda text: re.sub("[,;]", "", text)[:30])


def test_no_fold_hides_a_secret_in_the_card_that_is_kept():
    secret = SECRETS["github-token"]
    for folded in (f"NOTE:{secret[:20]}\r\n {secret[20:]}",
                   f"NOTE;ENCODING=QUOTED-PRINTABLE:{secret[:20]}=\r\n{secret[20:]}"):  # fmt: skip
        card = read_card(f"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Ada\r\n{folded}\r\nEND:VCARD\r\n")
        assert (card.notes, read_card(card.raw)) == (secret, card)
        assert secret[:20] not in redact_text(card.raw)


@st.composite
def contacts(draw):
    emails = draw(st.lists(st.builds(Labelled, EMAIL, LABEL), max_size=4))
    phones = draw(st.lists(st.builds(Labelled, NUMBER, LABEL), max_size=4))
    return {
        "id": uuid.UUID("01990000-0000-7000-8000-000000000001"),
        "name": draw(LINE.filter(bool)),
        "vcard_uid": draw(st.sampled_from(["", "u-1", "urn:x:ü,;"])),
        "updated_at": datetime(2026, 1, 31, 12, tzinfo=UTC),
        **{name: draw(LINE) for name in ("company", "role", "location", "relationship")},
        **{name: draw(TEXT) for name in ("notes", "description")},
        "emails": normal_emails(emails),
        "phones": normal_phones(phones, None),
        "tags": normal_tags(draw(st.lists(TAG, max_size=4))),
    }


def read_back(text):
    back = read_card(text)
    return {
        "name": back.name,
        "company": back.company,
        "role": back.role,
        "relationship": back.relationship,
        "location": back.location,
        "notes": back.notes,
        "description": back.description,
        "emails": normal_emails(back.emails),
        "phones": normal_phones(back.phones, None),
        "tags": normal_tags(back.tags),
    }


@pytest.mark.parametrize("version", ["3.0", "4.0"])
@settings(max_examples=150, deadline=None)
@given(contact=contacts())
def test_whatever_a_contact_holds_survives_a_card(version, contact):
    text = write_card(contact, version=version)
    (piece,) = split_cards(text)
    assert piece.text == text
    back = read_back(text)
    assert back == {name: contact[name] for name in back}
    assert max(len(line.encode()) for line in text.split("\r\n")) <= 75


@settings(max_examples=100, deadline=None)
@given(first=contacts(), second=contacts(), one=st.sampled_from(["3.0", "4.0"]))
def test_a_changed_contact_over_an_older_card_says_what_it_is_now(first, second, one):
    raw = write_card(first, version=one).replace("END:VCARD", "X-KEEP:a\\,b\r\nEND:VCARD")
    for version in ("3.0", "4.0"):
        text = write_card(second, version=version, raw=raw)
        back = read_back(text)
        assert back == {name: second[name] for name in back}
        assert "X-KEEP:a\\,b" in logical(text)


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=400))
def test_folding_is_undone_and_cuts_no_character(text):
    line = f"NOTE:{text}"
    folded = fold(line)
    assert all(len(part.encode()) <= 75 for part in folded.split("\r\n"))
    assert [found for _, found in unfold(split_lines(folded))] == [line]
