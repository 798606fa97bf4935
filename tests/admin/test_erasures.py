"""An owner erases in the admin: looked at first, its name typed, nobody else may."""

import pytest
from django.urls import reverse

from config.lib.ids import short_id
from config.lib.scope import workspace_scope
from contacts.models import Erasure
from memory.services import erasures
from tests.admin.pages import url
from tests.factories import make_memory

pytestmark = pytest.mark.django_db
NEW = "admin:contacts_erasure_new"


def test_an_owner_looks_types_and_erases(alice, workspace):
    with workspace_scope(workspace.id):
        memory = make_memory("The zorblatt key is in the pot.")
    begin = f"{reverse(NEW)}?kind=memory&target={memory.pk}"
    read = alice.get(reverse("admin:memory_memory_read", args=[memory.pk])).content.decode()
    assert begin.replace("&", "&amp;") in read
    assert str(memory.pk) in alice.get(begin).content.decode()
    said = {"kind": "memory", "target": str(memory.pk), "reason": "asked"}
    assert "No memory" in alice.post(reverse(NEW), {**said, "target": "0" * 12}).content.decode()
    page = alice.post(reverse(NEW), said).url
    with workspace_scope(workspace.id):
        row = Erasure.objects.get()
    assert "Looking at what would go" in alice.get(page).content.decode()
    erasures.look_now(workspace.id, row.pk)
    shown = alice.get(page).content.decode()
    assert short_id(memory.pk) in shown
    assert "What remains" in shown
    assert "would go</span>" in shown
    assert "removed</span>" not in shown
    run = url(Erasure, "run", row.pk)
    told = alice.post(run, {"confirm": "no"}, follow=True).content.decode()
    assert "nothing was done" in told
    told = alice.post(run, {"confirm": short_id(memory.pk)}, follow=True).content.decode()
    assert "It is being erased." in told
    assert "Erase for good</button>" not in told


def test_an_operator_sees_counts_and_neither_term_nor_button(alice, otto, workspace):
    alice.post(reverse(NEW), {"kind": "term", "term": "zorblatt key", "reason": "asked"})
    with workspace_scope(workspace.id):
        row = Erasure.objects.get()
    erasures.look_now(workspace.id, row.pk)
    assert "zorblatt key" in alice.get(url(Erasure, "change", row.pk)).content.decode()
    shown = otto.get(url(Erasure, "change", row.pk)).content.decode()
    assert "This would go" in shown
    assert "zorblatt" not in shown
    assert otto.get(reverse(NEW)).status_code == 403
    assert otto.post(url(Erasure, "run", row.pk), {"confirm": "zorblatt key"}).status_code == 403
    alice.post(url(Erasure, "do", row.pk, "drop"))
    with workspace_scope(workspace.id):
        row.refresh_from_db()
    assert (row.state, row.wanted) == ("dropped", "")
