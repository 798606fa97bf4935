"""An operator takes back what a key wrote, and brings it back, in the admin."""

import pytest
from django.urls import reverse

from config.lib.actor import Actor
from config.lib.scope import workspace_scope
from contacts.models import ApiKey
from contacts.services.keys import create_key
from memory.models import Memory, Unlearning
from memory.services.memories import NewMemory, create_memory
from tests.admin.pages import url
from tests.factories import ALICE, make_agent

pytestmark = pytest.mark.django_db
NEW = "admin:memory_unlearning_new"


def test_an_operator_looks_takes_back_and_brings_back(otto, vera, workspace):
    with workspace_scope(workspace.id):
        key, _ = create_key(actor=ALICE, agent=make_agent("codex"), name="nightly")
        hijacked = Actor("key", str(key.pk), "codex", "api", agent_id=key.agent_id)
        create_memory(actor=hijacked, new=NewMemory(text="The pump eats seedlings."))
    begin = f"{reverse(NEW)}?kind=key&target={key.pk}"
    assert begin.replace("&", "&amp;") in otto.get(url(ApiKey, "change", key.pk)).content.decode()
    assert vera.get(begin).status_code == 403
    assert (
        "No API key"
        in otto.post(
            reverse(NEW), {"kind": "key", "target": "0" * 12, "reason": "r"}
        ).content.decode()
    )
    said = {"kind": "key", "target": key.short_id, "reason": "hijacked"}
    page = otto.post(reverse(NEW), said).url
    assert "This would be taken back" in otto.get(page).content.decode()
    with workspace_scope(workspace.id):
        unit = Unlearning.objects.get()
    for action, state, told in (
        ("run", "archived", "It was taken back."), ("undo", "active", "It was brought back."),
    ):  # fmt: skip
        assert vera.post(url(Unlearning, "do", unit.pk, action)).status_code == 403
        answer = otto.post(url(Unlearning, "do", unit.pk, action), follow=True)
        assert told in answer.content.decode()
        with workspace_scope(workspace.id):
            assert Memory.objects.get().state == state
