"""Near duplicates in the admin: both texts side by side, and what a reviewer decides."""

import pytest

from config.lib.scope import workspace_scope
from contacts.services import funnel
from memory.models import Memory, MemoryDuplicate
from tests.admin.pages import url
from tests.factories import ALICE, make_memory

OLDER, NEWER = "Alice prefers tabs over spaces.", "Over spaces, Alice prefers <b>tabs</b>."


@pytest.fixture
def pair(workspace) -> MemoryDuplicate:
    with workspace_scope(workspace.id):
        older, newer = make_memory(OLDER), make_memory(NEWER)
        row = MemoryDuplicate(older=older, newer=newer, similarity=0.97, overlap=0.8)
        return funnel.create(row, actor=ALICE)


def states(workspace) -> dict[str, str]:
    with workspace_scope(workspace.id):
        return dict(Memory.objects.values_list("text", "state"))


def do(client, pair, action):
    return client.post(url(MemoryDuplicate, "do", pair.pk, action), {"reason": "the same"})


@pytest.mark.parametrize("page", ["changelist", "change"])
def test_both_texts_stand_side_by_side(rita, pair, page):
    args = [pair.pk] if page == "change" else []
    shown = rita.get(url(MemoryDuplicate, page, *args)).content.decode()
    assert OLDER in shown
    assert "Over spaces, Alice prefers &lt;b&gt;tabs&lt;/b&gt;." in shown
    assert "97% in meaning, 80% of words" in shown


@pytest.mark.parametrize(("action", "kept"), [("keep-newer", NEWER), ("keep-older", OLDER)])
def test_a_reviewer_keeps_one_and_takes_it_back(rita, workspace, pair, action, kept):
    address = url(MemoryDuplicate, "change", pair.pk)
    assert "Undo the merge" not in rita.get(address).content.decode()
    assert do(rita, pair, action).status_code == 302
    lost = NEWER if kept == OLDER else OLDER
    assert states(workspace) == {kept: "active", lost: "superseded"}
    shown = rita.get(address).content.decode()
    assert "Undo the merge" in shown
    assert "Keep the newer" not in shown
    do(rita, pair, "unmerge")
    assert states(workspace) == {OLDER: "active", NEWER: "active"}


def test_two_that_are_two_are_dismissed(rita, workspace, pair):
    do(rita, pair, "dismiss")
    with workspace_scope(workspace.id):
        assert MemoryDuplicate.objects.get().state == "dismissed"
    assert states(workspace) == {OLDER: "active", NEWER: "active"}


def test_who_may_only_look_decides_nothing(vera, workspace, pair):
    assert (
        "Keep the newer" not in vera.get(url(MemoryDuplicate, "change", pair.pk)).content.decode()
    )
    assert do(vera, pair, "keep-newer").status_code == 403
    assert states(workspace) == {OLDER: "active", NEWER: "active"}
