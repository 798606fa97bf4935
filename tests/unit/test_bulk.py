"""Many rows written and looked up at once."""

import datetime
import uuid

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from config.lib.db.bulk import insert_rows, update_values
from config.lib.errors import Erased
from contacts.models import Contact, Revision
from contacts.models.erasure import Erasure, ErasureKind, ErasureState
from contacts.services import funnel, tombstones
from tests.factories import ALICE

pytestmark = pytest.mark.django_db
NOON = datetime.datetime(2026, 1, 2, 12, tzinfo=datetime.UTC)


def contact(n: int, **fields) -> Contact:
    return Contact(name=f"Person {n}", sort_name=f"person {n}", **fields)


def test_each_row_is_given_its_own_values(scoped):
    rows = [contact(n) for n in range(3)]
    insert_rows(rows)
    for n, row in enumerate(rows):
        row.notes, row.metadata, row.pinned = f"n{n} 'é\\", {"deep": [n, None]}, n == 1
        row.last_contact_at = NOON if n else None
        row.name = "not asked for"
    names = ["notes", "metadata", "pinned", "last_contact_at"]
    # One that is not there counts for nothing.
    sent = [row.__dict__ for row in (*rows, contact(9))]
    assert update_values(Contact, names, sent) == 3
    for n, row in enumerate(rows):
        now = Contact.objects.get(pk=row.pk)
        assert now.name == f"Person {n}"
        assert [getattr(now, name) for name in names] == [getattr(row, name) for name in names]


def test_rows_changed_together_have_the_revisions_of_rows_changed_alone(scoped):
    rows = [contact(n) for n in range(4)]
    insert_rows(rows)
    wanted = [{"notes": "a"}, {"notes": "b", "pinned": True}, {"notes": ""}, {"notes": "d"}]
    changes = {row.pk: one for row, one in zip(rows, wanted, strict=True)}
    funnel.update_many(rows, changes, actor=ALICE)
    assert [Contact.objects.get(pk=row.pk).version for row in rows] == [2, 2, 1, 2]
    alone = [contact(n) for n in range(4)]
    insert_rows(alone)
    for row, changes in zip(alone, wanted, strict=True):
        funnel.update(row, changes, actor=ALICE)

    def history(of):
        found = Revision.objects.filter(object_id__in=[row.pk for row in of])
        return list(found.order_by("after__notes").values_list("action", "before", "after"))

    assert history(rows) == history(alone)
    assert len(history(rows)) == 3


def test_of_many_rows_too_one_that_was_erased_is_refused(scoped):
    rows = [contact(n) for n in range(tombstones.FEW + 2)]
    erasure = Erasure.objects.create(kind=ErasureKind.CONTACT, state=ErasureState.DONE)
    tombstones.bury(erasure, marks=tombstones.marks_of(rows[3]))
    with pytest.raises(Erased), transaction.atomic():
        funnel.create_many(rows, actor=ALICE)
    assert not Contact.objects.filter(pk__in=[row.pk for row in rows]).exists()
    del rows[3]
    funnel.create_many(rows, actor=ALICE)
    assert Contact.objects.filter(pk__in=[row.pk for row in rows]).count() == len(rows)


def test_many_keys_are_looked_up_by_the_index_of_those_that_are_not_empty(scoped):
    insert_rows([contact(1, vcard_uid="one"), contact(2), contact(3, vcard_uid="three")])
    keys = ["one", *(str(uuid.uuid4()) for _ in range(500))]
    with CaptureQueriesContext(connection) as asked:
        found = Contact.objects.filter(vcard_uid__any_of=keys)
        assert [row.name for row in found] == ["Person 1"]
    assert "<> ''" in asked[0]["sql"]
    # Whoever asks for those without one is given them.
    found = Contact.objects.filter(vcard_uid__any_of=["", "three"]).order_by("name")
    assert [row.name for row in found] == ["Person 2", "Person 3"]
