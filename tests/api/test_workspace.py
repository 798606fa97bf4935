"""The workspace and who is in it, over REST."""

from config.lib.scope import workspace_scope
from contacts.models import Revision
from tests.api.caller import made, wrong_fields


def test_the_workspace_is_read_and_changed(api, workspace):
    assert made(api.get("/workspace"))["slug"] == "greenhouse"
    changed = made(
        api.patch(
            "/workspace",
            {"name": "Green", "settings": {"timezone": "Europe/Berlin", "thresholds": [50]}},
        )
    )
    assert changed["name"] == "Green"
    assert changed["settings"] == {"timezone": "Europe/Berlin", "thresholds": [50]}
    changed = made(api.patch("/workspace", {"settings": {"thresholds": None}, "reason": "unused"}))
    assert changed["settings"] == {"timezone": "Europe/Berlin"}
    with workspace_scope(workspace.id):
        last = Revision.objects.filter(object_id=workspace.id).order_by("-id").first()
    assert (last.action, last.reason) == ("update", "unused")
    assert last.before["settings"]["thresholds"] == [50]


def test_wrong_settings_are_refused_by_name(api):
    answer = api.patch("/workspace", {"settings": {"timezone": "Mars/Olympus"}})
    assert "settings.timezone" in wrong_fields(answer)
    assert "slug" in wrong_fields(api.patch("/workspace", {"slug": "other"}))
    assert "name" in wrong_fields(api.patch("/workspace", {"name": ""}))


def test_stats_count_what_there_is(api):
    session = made(api.post("/sessions", {"project": "greenhouse"}))
    thread = made(api.post(f"/sessions/{session['id']}/threads", {}))
    made(api.post(f"/threads/{thread['id']}/messages", {"role": "user", "content": "hello"}))
    made(api.post(f"/sessions/{session['id']}/events", {"event_type": "note"}))
    made(api.post("/memories", {"text": "t", "kind": "fact"}))
    made(api.post("/memories", {"text": "u", "state": "archived"}))
    stats = made(api.get("/stats"))
    assert stats["sessions"] == {
        "total": 1, "by_state": {"active": 1}, "events": 1, "messages": 1
    }  # fmt: skip
    assert stats["memories"] == {
        "total": 2, "by_state": {"active": 1, "archived": 1}, "by_kind": {"fact": 1}
    }  # fmt: skip
    assert (stats["agents"], stats["projects"], stats["threads"]) == (1, 1, 1)
    assert stats["index"]["passages"] == stats["index"]["embedded"] + stats["index"]["pending"]
    assert stats["embedding"]["provider"] in {"local", "openai", "none"}


def test_an_empty_workspace_has_stats_too(api):
    stats = made(api.get("/stats"))
    assert stats["sessions"] == {"total": 0, "by_state": {}, "events": 0, "messages": 0}
