"""What is peculiar to ChatGPT's export: trees, parts, zips."""

import json
import zipfile

import pytest

from config.lib.scope import workspace_scope
from memory.importers.chatgpt import CHATGPT
from memory.importers.chatgpt.tree import paths
from memory.importers.problems import SourceError
from memory.importers.run import run_import
from memory.importers.source import Options
from sessions.models import Message, Session, Thread
from tests.importers.made import conversation, node


def tree(**parents):
    return {key: {"parent": parent} for key, parent in parents.items()}


def cut(mapping, current):
    return [(path.key, path.nodes, path.parent, path.fork) for path in paths(mapping, current)]


def test_the_path_to_the_current_node_is_the_thread():
    branches = tree(r=None, a="r", b="a", c="b", d="a", e="d", f="d")
    assert cut(branches, "f") == [
        ("", ["r", "a", "d", "f"], "", ""),
        ("b", ["b", "c"], "", "a"),
        ("e", ["e"], "", "d"),
    ]


def test_knots_in_a_tree_are_cut():
    assert cut(tree(a="b", b="a"), "a") == [("", ["b", "a"], "", "")]
    assert cut(tree(a="gone", b=None), "nowhere") == [("", ["b"], "", ""), ("a", ["a"], "", "")]
    assert cut({}, "x") == []
    loop = tree(r=None, a="r", x="y", y="x")
    assert sorted(n for _, nodes, _, _ in cut(loop, "a") for n in nodes) == ["a", "r", "x", "y"]


@pytest.fixture
def taken(workspace, tmp_path):
    def take(rows):
        path = tmp_path / "conversations.json"
        path.write_text(rows if isinstance(rows, str) else json.dumps(rows), encoding="utf-8")
        return run_import(workspace_id=workspace.id, source=CHATGPT, where=str(path))

    return take


@pytest.mark.django_db
def test_branches_parts_and_hidden_messages(workspace, taken):
    row = conversation(1)
    name = "c0001"
    parts = [
        {"content_type": "image_asset_pointer", "asset_pointer": "file-service://file-1"},
        "What is this?",
        {"content_type": "audio_transcription", "text": "and this"},
    ]
    more = row["mapping"]
    more["img"] = node("img", f"{name}-3", ["code"], at=1_700_000_010) | {}
    more["img"]["message"]["content"] = {"content_type": "multimodal_text", "parts": parts}
    more["code"] = node("code", "img", ["out"], "assistant", at=None)
    more["code"]["message"] |= {
        "content": {"content_type": "code", "language": "python", "text": "print(1)"},
        "recipient": "python",
    }
    more["out"] = node("out", "code", ["think"], "tool", at=1_700_000_012)
    more["out"]["message"] |= {
        "author": {"role": "tool", "name": "python"},
        "content": {"content_type": "execution_output", "text": "1"},
    }
    more["think"] = node("think", "out", ["hidden"], "assistant")
    more["think"]["message"]["content"] = {
        "content_type": "thoughts", "thoughts": [{"summary": "s", "content": "Let me see"}],
    }  # fmt: skip
    more["hidden"] = node("hidden", "think", [], "critic")
    more["hidden"]["message"] |= {
        "content": {"content_type": "user_editable_context", "user_instructions": "Be brief"},
        "metadata": {"is_visually_hidden_from_conversation": True},
    }
    row["current_node"] = "hidden"
    report = taken([row])
    assert report.checked.ok, report.checked.differences
    assert [str(one.code) for one in report.problems] == ["unknown_value"]
    with workspace_scope(workspace.id):
        session = Session.objects.get()
        assert (session.name, session.current_state, session.message_count) == (
            "Conversation 1", "ended", 10,
        )  # fmt: skip
        main, branch = Thread.objects.order_by("external_id")
        assert branch.parent == main
        assert branch.metadata["forked_at"] == f"{name}-0"
        assert [m.content for m in branch.messages.all()] == ["An older answer"]
        said = {m.native_uuid: m for m in main.messages.order_by("idx")}
        assert list(said) == [*(f"{name}-{n}" for n in range(4)), "img", "code", "out", "think",
                              "hidden"]  # fmt: skip
        assert said["img"].content == "What is this?\n\nand this"
        assert said["img"].blocks[0] == {"type": "image", "asset_pointer": "file-service://file-1"}
        assert said["code"].blocks[0]["type"] == "tool_use"
        assert said["code"].occurred_at == said["img"].occurred_at
        assert (said["out"].role, said["out"].metadata["author"]) == ("tool", "python")
        assert (said["think"].content, said["think"].blocks[0]["thinking"]) == ("", "Let me see")
        assert said["hidden"].role == "system"
        assert said["hidden"].metadata["hidden"] is True
        assert said["hidden"].metadata["role"] == "critic"


@pytest.mark.django_db
def test_a_later_export_adds_what_is_new(workspace, taken):
    row = conversation(1)
    taken([row])
    row["mapping"]["c0001-new"] = node("c0001-new", "c0001-old", [], "user", "Go on", 1_700_000_100)
    row["current_node"] = "c0001-new"
    report = taken([row])
    assert report.checked.ok, report.checked.differences
    assert report.tables["messages"].created == 1
    with workspace_scope(workspace.id):
        assert Message.objects.get(content="Go on").native_parent_uuid == "c0001-old"
        assert Message.objects.count() == 6


@pytest.mark.django_db
def test_bad_conversations_do_not_stop_the_rest(taken):
    good, other = json.dumps(conversation(1)), json.dumps(conversation(2))
    report = taken(f'[{good}, {{"mapping": oops, "current_node": 1}}, {{"title": "x"}}, {good}, '
                   f"{other}, {other[:300]}")  # fmt: skip
    codes = {str(code): n for code, n in report.problems.by_code.items()}
    assert codes == {"not_json": 1, "legacy_shape": 1, "duplicate": 1, "incomplete": 1}
    assert report.checked.ok, report.checked.differences
    count = report.tables["conversations"]
    assert (count.total, count.created, count.skipped) == (6, 2, 4)


def test_it_is_read_from_its_zip_and_its_folder(tmp_path):
    packed = tmp_path / "export.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("chat.html", "<html>")
        for part in range(2):
            archive.writestr(f"x/conversations-00{part}.json", json.dumps([conversation(part)]))
    with CHATGPT.open(str(packed), tmp_path, Options()) as reading:
        assert [one.key for one in reading.entries() if one.drafts] == ["c0000-8f2a", "c0001-8f2a"]
        assert reading.totals == {"conversations": 2, "messages": 10}
    (tmp_path / "conversations.json").write_text(json.dumps([conversation(3)]), encoding="utf-8")
    with CHATGPT.open(str(tmp_path), tmp_path, Options()) as reading:
        assert reading.totals["conversations"] == 1
    packed.write_bytes(packed.read_bytes()[:200])
    other = tmp_path / "other.zip"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("notes.txt", "x")
    for path, said in ((packed, "damaged zip"), (other, "without a conversations.json")):
        with pytest.raises(SourceError, match=said):
            with CHATGPT.open(str(path), tmp_path, Options()):
                pass
