"""What is peculiar to vCards: cards of any program, in files of any size."""

import random
import uuid

import pytest
from django.db import OperationalError

from config.lib.scope import workspace_scope
from contacts.models import Contact, Revision
from contacts.services.contacts import create_contact, part_values
from contacts.services.imports import taking
from contacts.services.workspaces import update_workspace
from memory.importers import run
from memory.importers.problems import Code
from memory.importers.run import run_import
from memory.importers.undo import undo_import
from memory.importers.vcard import VCARD, source
from memory.models import ImportRun, Passage
from memory.services.passages import reindex_workspace
from memory.services.unlearning import undo_unlearning
from tests.factories import ALICE, make_workspace

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
    with workspace_scope(workspace.id):
        undo_unlearning(actor=ALICE, unlearning_id=uuid.UUID(undone.unit_id))
        assert Contact.objects.filter(name="Ada", emails__email="ada@example.org").exists()
    again = undo_import(workspace_id=workspace.id, run_id=uuid.UUID(report.run_id), actor=ALICE)
    assert (again.removed["contact"], again.staying.total()) == (3, 0)


LOCAL = "".join(
    "\n".join(["BEGIN:VCARD", "VERSION:3.0", *lines, "END:VCARD", ""])
    for lines in (
        ("FN:Ada", "TEL;TYPE=CELL:079 668", "  18 00", "EMAIL:ada@example.org"),
        ("FN:Byron", "TEL:079 668 18 01"),
        ("FN:Twin", "EMAIL:twin@example.org", "ORG:One"),
        ("FN:Twin", "EMAIL:twin@example.org", "ORG:Two", "TEL:call me"),
        ("TEL:079 668 18 02",),
    )
)


def test_nobody_is_lost_for_a_number_that_cannot_be_read_yet(workspace, tmp_path):
    path = tmp_path / "people.vcf"
    path.write_text(LOCAL)

    def take(dry_run=False):
        report = run_import(
            workspace_id=workspace.id, source=VCARD, where=str(path), dry_run=dry_run
        )
        assert report.checked.ok, report.checked.differences
        found = report.tables["cards"]
        return report, (found.created, found.updated, found.unchanged, found.skipped)

    def numbers():
        with workspace_scope(workspace.id):
            rows = Contact.objects.order_by("name")
            return {row.name: (part_values(row)["phones"], row.unreadable) for row in rows}

    without = {
        "Ada": ([], {"phones": ["079 668 18 00 (cell)"]}),
        "Byron": ([], {"phones": ["079 668 18 01"]}),
        "Twin": ([], {"phones": ["call me"]}),
    }
    first, counts = take()
    assert (counts, numbers()) == ((3, 1, 0, 1), without)
    left_out = [one for one in first.problems if one.code is Code.BAD_VALUE]
    assert [one.line for one in left_out] == [1, 8, 19]
    assert "phones[0].number '079 668 18 00 (cell)' has no country code" in left_out[0].reason
    assert "set `region`" in left_out[0].reason
    again, counts = take()
    assert (counts, again.changed) == ((0, 0, 4, 1), False)
    assert list(again.problems) == list(first.problems)

    with workspace_scope(workspace.id):
        update_workspace(actor=ALICE, settings={"region": "CH"})
    assert take(dry_run=True)[1] == (1, 2, 2, 0)
    assert numbers() == without
    later, counts = take()
    assert counts == (1, 2, 2, 0)
    assert numbers() == {
        "+41796681802": (["+41796681802"], {}),
        "Ada": (["+41796681800 (cell)"], {}),
        "Byron": (["+41796681801"], {}),
        "Twin": ([], {"phones": ["call me"]}),
    }
    assert take()[1] == (0, 0, 5, 0)
    undone = undo_import(workspace_id=workspace.id, run_id=uuid.UUID(later.run_id), actor=ALICE)
    assert (undone.removed["contact"], undone.staying.total()) == (1, 0)
    assert numbers() == without
    assert take()[1] == (1, 2, 2, 0)


def test_a_text_that_is_too_long_is_shortened_and_said(workspace, tmp_path):
    path = tmp_path / "people.vcf"
    path.write_text(
        "BEGIN:VCARD\nVERSION:4.0\nUID:u\nFN:Ada\nEND:VCARD\n"
        f"BEGIN:VCARD\nVERSION:4.0\nFN:Byron\nORG:{'c' * 290} {SECRET}\n"
        f"item1.TEL:+41446681800\nitem1.X-ABLabel:{'at work ' * 20}\nEND:VCARD\n"
    )
    first, again = (
        run_import(workspace_id=workspace.id, source=VCARD, where=str(path)) for _ in range(2)
    )
    assert first.checked.ok, first.checked.differences
    assert (first.tables["cards"].created, again.tables["cards"].unchanged) == (2, 2)
    for report in (first, again):
        told = [one for one in report.problems if one.code == Code.TEXT_CUT]
        assert [(one.line, one.reason.split()[0]) for one in told] == [
            (6, "company"), (6, "phones[0].label"),
        ]  # fmt: skip
        assert "has 1" in told[1].reason
        assert all("left out" in one.action for one in told)
    with workspace_scope(workspace.id):
        contact = Contact.objects.get(name="Byron")
        assert contact.company == f"{'c' * 290}"
        assert SECRET[:8] not in contact.vcard
        held = part_values(contact)
    assert held["phones"] == ["+41446681800 (" + ("at work " * 20)[:60].strip() + ")"]


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


def test_a_run_whose_transaction_fails_at_its_end_says_so_and_is_begun_again(
    workspace, tmp_path, monkeypatch
):
    monkeypatch.setattr(source, "BATCH", 2)
    path = tmp_path / "people.vcf"
    path.write_bytes(CARDS)
    beat, reports = run._Run._beat, []

    def disturbed(self, row, **more):
        beat(self, row, **more)
        reports.append(self.report)
        if len(reports) == 2:
            raise OperationalError("the server ended this connection")

    with monkeypatch.context() as patched:
        patched.setattr(run._Run, "_beat", disturbed)
        with pytest.raises(OperationalError, match="ended this connection"):
            run_import(workspace_id=workspace.id, source=VCARD, where=str(path))
    with workspace_scope(workspace.id):
        failed = ImportRun.objects.get()
    assert failed.state == "failed"
    assert failed.problems == [problem.as_dict() for problem in reports[1].problems.kept] != []
    again = run_import(workspace_id=workspace.id, source=VCARD, where=str(path))
    assert again.checked.ok, again.checked.differences


def test_what_the_reader_made_ready_for_another_region_is_read_again(
    workspace, tmp_path, monkeypatch
):
    monkeypatch.setattr(source, "BATCH", 1)
    path = tmp_path / "people.vcf"
    path.write_text(
        "".join(
            f"BEGIN:VCARD\nVERSION:4.0\nFN:P{n}\nTEL:079 668 18 0{n}\nEND:VCARD\n" for n in range(8)
        )
    )
    batches = []

    def progress(report, line):
        batches.append(line)
        if len(batches) == 4:
            with workspace_scope(workspace.id):
                update_workspace(actor=ALICE, settings={"region": "CH"})

    report = run_import(workspace_id=workspace.id, source=VCARD, where=str(path), progress=progress)
    assert report.tables["cards"].created == 8
    with workspace_scope(workspace.id):
        people = {row.name: part_values(row)["phones"] for row in Contact.objects.all()}
    assert people == {
        f"P{n}": [] if n < 4 else [f"+4179668180{n}"] for n in range(8)
    }  # fmt: skip


def test_new_contacts_are_found_by_what_lies_in_rows_of_its_own(workspace, tmp_path, monkeypatch):
    monkeypatch.setattr(source, "BATCH", 7)
    rng = random.Random(11)
    path = tmp_path / "people.vcf"
    path.write_text("".join(card(rng) for _ in range(40)))
    run_import(workspace_id=workspace.id, source=VCARD, where=str(path))

    def indexed():
        with workspace_scope(workspace.id):
            rows = Passage.objects.filter(kind="contact").order_by("of_contact_id", "chunk")
            return list(rows.values_list("of_contact_id", "text", "lexical", "tags"))

    before = indexed()
    assert any("@example.org" in lexical for _, _, lexical, _ in before)
    assert any("41446681" in lexical for _, _, lexical, _ in before)
    with workspace_scope(workspace.id):
        Passage.objects.all().delete()
    reindex_workspace(workspace.id)
    assert indexed() == before


def test_who_stands_in_an_address_book_more_than_once_is_found_again(workspace, tmp_path):
    def person(*numbers):
        lines = "".join(f"TEL:{number}\n" for number in numbers)
        return f"BEGIN:VCARD\nVERSION:3.0\nFN:Ann\n{lines}END:VCARD\n"

    path = tmp_path / "people.vcf"
    one, other = "+41446681800", "+41446681801"
    path.write_text(person(one) + person(other) + person(one, other))
    for made in (3, 0, 0):
        report = run_import(workspace_id=workspace.id, source=VCARD, where=str(path))
        assert report.checked.ok, report.checked.differences
        count = report.tables["cards"]
        assert (count.created, count.unchanged) == (made, 3 - made)


def test_a_secret_among_tags_and_names_is_marked_once(workspace, tmp_path):
    path = tmp_path / "people.vcf"
    found = []
    for note in range(3):
        path.write_text(
            f"BEGIN:VCARD\nVERSION:4.0\nUID:1\nFN:Ann {SECRET}\nCATEGORIES:{SECRET}\n"
            f"NOTE:{note}\nEND:VCARD\n"
        )
        report = run_import(workspace_id=workspace.id, source=VCARD, where=str(path))
        assert report.tables["cards"].skipped == 0
        with workspace_scope(workspace.id):
            contact = Contact.objects.get()
            found.append((contact.name, contact.sort_name, part_values(contact)["tags"]))
    (name, known_as, tags), *later = found
    assert later == [found[0], found[0]]
    assert [known_as, name] == [f"ann {tags[0]}", f"Ann {tags[0]}"]


def test_a_card_that_is_refused_is_not_missed_nor_counted(workspace, tmp_path, monkeypatch):
    monkeypatch.setattr(source, "BATCH", 1)
    path = tmp_path / "people.vcf"
    for name, outcome in (
        ("Ann", "created"),
        ("Ann\nUID:" + "u" * 301, "skipped"),
        ("Ann B.", "updated"),
    ):
        path.write_text(
            "".join(
                f"BEGIN:VCARD\nVERSION:4.0\nFN:{one}\nEMAIL:{mail}\nEND:VCARD\n"
                for one, mail in ((name, "ann@example.org"), ("Bob", "bob@example.org"))
            )
        )
        report = run_import(workspace_id=workspace.id, source=VCARD, where=str(path))
        assert getattr(report.tables["cards"], outcome) == (2 if outcome == "created" else 1)
        assert report.checked.ok, report.checked.differences


def card(rng: random.Random) -> str:
    """One of a few people, who share addresses, change their names and lose their UIDs."""
    n = rng.randrange(6)
    lines = [f"FN:{rng.choice(('Ann', 'Bob', f'Person {n}'))}"]
    lines += [f"UID:urn:uuid:{n}"] if rng.random() < 0.3 else []
    lines += [f"EMAIL:p{rng.randrange(8)}@example.org"] if rng.random() < 0.6 else []
    lines += [f"TEL:+4144668180{rng.randrange(6)}"] if rng.random() < 0.4 else []
    lines += [f"CATEGORIES:t{rng.randrange(3)}"] if rng.random() < 0.5 else []
    lines += [f"NOTE:{rng.randrange(9)}"] if rng.random() < 0.5 else []
    return "\n".join(["BEGIN:VCARD", "VERSION:4.0", *lines, "END:VCARD\n"])


def test_cards_taken_together_become_what_they_would_one_by_one(tmp_path, monkeypatch):
    rng = random.Random(7)
    path = tmp_path / "people.vcf"
    path.write_text("".join(card(rng) for _ in range(60)))
    stories = []
    for slug, alone in (("together", False), ("alone", True)):
        workspace = make_workspace(slug)
        with monkeypatch.context() as patched:
            if alone:
                patched.setattr(taking, "identities", lambda new: {"any"})
            reports = [
                run_import(workspace_id=workspace.id, source=VCARD, where=str(path))
                for _ in range(2)
            ]
        with workspace_scope(workspace.id):
            rows = list(Contact.objects.order_by("vcard", "name", "id"))
            people = [(row.name, row.notes, row.vcard_uid, part_values(row)) for row in rows]
            history = list(
                Revision.objects.filter(model="contacts.contact").values_list("action", "after")
            )
        stories.append(
            (
                [report.as_dict()["tables"] for report in reports],
                sorted(map(repr, people)),
                sorted(map(repr, history)),
            )
        )
    assert stories[0] == stories[1]
    assert stories[0][0][0]["cards"]["updated"] > 10
