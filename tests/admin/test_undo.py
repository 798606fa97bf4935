"""Changes taken back in the admin: seen first, done by who may change the row, never blindly."""

from django.urls import reverse

from config.lib.scope import workspace_scope
from contacts.models import Revision
from memory.models import Memory
from memory.services.memories import delete_memory, update_memory
from tests.admin.pages import url
from tests.factories import ALICE, make_memory


def edited(workspace, *texts):
    with workspace_scope(workspace.id):
        memory = make_memory("We deploy on Fridays")
        for text in texts:
            update_memory(actor=ALICE, memory_id=memory.pk, changes={"text": text})
        return memory, list(Revision.objects.filter(object_id=memory.pk).order_by("id"))


def page(client, revision):
    return client.get(url(Revision, "change", revision.pk)).content.decode()


def text_of(workspace, memory):
    with workspace_scope(workspace.id):
        return Memory.objects.get(pk=memory.pk).text


def undo(client, revision, **sent):
    return client.post(reverse("admin:contacts_revision_undo", args=[revision.pk]), sent)


def test_a_change_shows_what_taking_it_back_would_do_and_does_it(otto, workspace):
    memory, (created, changed) = edited(workspace, "We deploy on <b>Mondays</b>")
    shown = page(otto, changed)
    assert "Take back" in shown
    assert "&lt;b&gt;" in shown
    assert "<b>Mondays" not in shown
    assert "delete it instead" in page(otto, created)
    history = otto.get(url(Memory, "history", memory.pk)).content.decode()
    assert f"{url(Revision, 'change', changed.pk)}#undo" in history
    answer = undo(otto, changed, _reason="Fridays after all")
    assert (answer.status_code, answer["Location"]) == (302, url(Memory, "read", memory.pk))
    assert text_of(workspace, memory) == "We deploy on Fridays"
    with workspace_scope(workspace.id):
        newest = Revision.objects.filter(object_id=memory.pk).latest("id")
    assert (newest.reason, newest.actor_label, newest.channel) == (
        "Fridays after all", "otto", "admin"
    )  # fmt: skip
    assert "as it was before already" in page(otto, changed)


def test_what_was_changed_once_more_is_named_before_it_is_overwritten(otto, workspace):
    memory, (_, first, _) = edited(workspace, "We deploy on Mondays", "We deploy on Sundays")
    shown = page(otto, first)
    assert "Changed once more since: Text" in shown
    assert "Take back anyway" in shown
    # The page of before that change did not say so: nothing is overwritten by it.
    undo(otto, first)
    assert text_of(workspace, memory) == "We deploy on Sundays"
    undo(otto, first, over="1")
    assert text_of(workspace, memory) == "We deploy on Fridays"


def test_what_was_deleted_is_restored_from_its_change(otto, workspace):
    memory, _ = edited(workspace)
    with workspace_scope(workspace.id):
        delete_memory(actor=ALICE, memory_id=memory.pk)
        gone = Revision.objects.filter(object_id=memory.pk).latest("id")
    shown = page(otto, gone)
    assert "Restore" in shown
    for name in ("change", "history", "delete"):
        answer = otto.get(url(Memory, name, memory.pk))
        assert (answer.status_code, answer["Location"]) == (302, url(Revision, "change", gone.pk))
    assert otto.get(url(Memory, "change", gone.pk))["Location"] == reverse("admin:index")
    assert "We deploy on Fridays" in shown
    then = otto.get(reverse("admin:contacts_revision_as_of", args=[gone.pk])).content.decode()
    assert "It was gone" in then
    assert undo(otto, gone)["Location"] == url(Memory, "read", memory.pk)
    assert text_of(workspace, memory) == "We deploy on Fridays"
    assert "is there again" in page(otto, gone)


def test_the_object_as_it_was(vera, workspace):
    _, (created, changed) = edited(workspace, "We deploy on Mondays")
    for revision, text in ((created, "Fridays"), (changed, "Mondays")):
        answer = vera.get(reverse("admin:contacts_revision_as_of", args=[revision.pk]))
        assert f"We deploy on {text}" in answer.content.decode()


def test_who_may_not_change_a_row_takes_nothing_back(vera, charlie, workspace):
    memory, (_, changed) = edited(workspace, "We deploy on Mondays")
    assert reverse("admin:contacts_revision_undo", args=[changed.pk]) not in page(vera, changed)
    assert undo(vera, changed).status_code == 403
    assert undo(charlie, changed).status_code == 404
    assert vera.get(reverse("admin:contacts_revision_undo", args=[changed.pk])).status_code == 405
    assert text_of(workspace, memory) == "We deploy on Mondays"
