"""What is peculiar to vCards: cards of any program, in files of any size."""

import uuid

import pytest

from config.lib.scope import workspace_scope
from contacts.models import Contact
from contacts.services.contacts import create_contact
from memory.importers.run import run_import
from memory.importers.undo import undo_import
from memory.importers.vcard import VCARD, source
from tests.factories import ALICE

pytestmark = pytest.mark.django_db
SECRET = "ghp_" + "a1B2" * 9
CARDS = (
    b"begin:vcard\nVERSION:2.1\nFN:J\xfcrg\nTEL;CELL:+41446681800\nEND:VCARD\n"
    b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Ada\r\nEMAIL:ada@example.org\r\nNOTE:uses "
    + SECRET.encode()
    + b"\r\nPHOTO;ENCODING=b:" + b"A" * 3000 + b"\r\nEND:VCARD\r\n"
    b"stray\n"
    b"BEGIN:VCARD\nVERSION:4.0\nNOTE:nobody\nEND:VCARD\n"
    b"BEGIN:VCARD\nVERSION:4.0\nFN:Only a na\x00me\nEND:VCARD\n"
    b"BEGIN:VCARD\nVERSION:4.0\nFN:Cut o"
)  # fmt: skip


def test_good_cards_go_in_and_bad_ones_are_said(workspace, tmp_path, monkeypatch):
    monkeypatch.setattr(source, "BATCH", 2)
    monkeypatch.setattr(source, "MAX_LINE", 64)
    path = tmp_path / "people.vcf"
    path.write_bytes(CARDS)
    with workspace_scope(workspace.id):
        create_contact(actor=ALICE, fields={"name": "Ada L.", "emails": [], "phones": []})
        Contact.objects.get()

    def take():
        return run_import(workspace_id=workspace.id, source=VCARD, where=str(path))

    report = take()
    assert report.checked.ok, report.checked.differences
    count = report.tables["cards"]
    assert (count.total, count.created, count.skipped) == (6, 3, 3)
    codes = {str(code): n for code, n in report.problems.by_code.items()}
    assert codes == {"invalid_utf8": 1, "redacted": 1, "text_changed": 1, "refused": 3}
    assert [one.line for one in report.problems if str(one.code) == "refused"] == [13, 14, 22]
    with workspace_scope(workspace.id):
        assert set(Contact.objects.values_list("name", flat=True)) == {
            "Ada L.", "Jürg", "Ada", "Only a na\ufffdme",
        }  # fmt: skip
        ada = Contact.objects.get(name="Ada")
        assert SECRET not in ada.notes + ada.vcard
        assert "A" * 3000 in ada.vcard
    assert not take().changed
    undone = undo_import(workspace_id=workspace.id, run_id=uuid.UUID(report.run_id), actor=ALICE)
    assert undone.removed["contact"] == 3


def test_a_folder_of_cards_and_two_people_of_one_address(workspace, tmp_path, monkeypatch):
    monkeypatch.setattr(source, "BATCH", 1)
    for name in ("Ann", "Bob"):
        card = f"BEGIN:VCARD\nVERSION:4.0\nFN:{name}\nEMAIL:home@example.org\nEND:VCARD\n"
        (tmp_path / f"{name}.vcf").write_text(card)
    for _ in range(2):
        report = run_import(workspace_id=workspace.id, source=VCARD, where=str(tmp_path))
        assert report.checked.ok, report.checked.differences
    assert not report.changed
    with workspace_scope(workspace.id):
        assert sorted(Contact.objects.values_list("name", flat=True)) == ["Ann", "Bob"]
