"""Small sources of the formats that the test data has none of, as their programs write them."""

import json
from pathlib import Path


def node(key, parent, children, role="user", said="", at=None, **more):
    """A node of a conversation of ChatGPT."""
    message = {
        "id": key,
        "author": {"role": role, "name": None, "metadata": {}},
        "create_time": at,
        "update_time": None,
        "content": {"content_type": "text", "parts": [said]},
        "status": "finished_successfully",
        "recipient": "all",
        "metadata": {"model_slug": "gpt-4o"} if role == "assistant" else {},
    }
    return {"id": key, "parent": parent, "children": children, "message": message | more}


def conversation(number, turns=4, at=1_700_000_000.5):
    """One with an empty root, an empty hidden system message, and a branch at the end."""
    name = f"c{number:04}"
    nodes = {
        f"{name}-root": {"id": f"{name}-root", "message": None, "parent": None,
                         "children": [f"{name}-sys"]},
        f"{name}-sys": node(f"{name}-sys", f"{name}-root", [f"{name}-0"], "system"),
    }  # fmt: skip
    parent = f"{name}-sys"
    for turn in range(turns):
        key = f"{name}-{turn}"
        role = "assistant" if turn % 2 else "user"
        said = f"Turn {turn} of conversation {number}"
        nodes[key] = node(key, parent, [f"{name}-{turn + 1}"], role, said, at + turn)
        parent = key
    nodes[parent]["children"] = [f"{name}-old"]
    nodes[f"{name}-old"] = node(f"{name}-old", f"{name}-0", [], "assistant", "An older answer",
                                at + 0.5)  # fmt: skip
    return {
        "title": f"Conversation {number}",
        "create_time": at,
        "update_time": at + turns,
        "mapping": nodes,
        "current_node": parent,
        "conversation_id": f"{name}-8f2a",
        "id": f"{name}-8f2a",
        "default_model_slug": "gpt-4o",
        "is_archived": False,
    }


def chatgpt(path: Path) -> None:
    path.write_text(json.dumps([conversation(n) for n in range(60)]), encoding="utf-8")


def memory_server(path: Path) -> None:
    rows = [{"type": "relation", "from": "Person 1", "to": "Team 2", "relationType": "works_in"}]
    for number in range(80):
        kind = "Person" if number % 2 else "Team"
        rows.append(
            {
                "type": "entity",
                "name": f"{kind} {number}",
                "entityType": kind.lower(),
                "observations": [f"Likes the number {number}", f"Was seen {number} times"],
            }
        )
        rows.append(
            {
                "type": "relation",
                "from": f"{kind} {number}",
                "to": "Team 0",
                "relationType": "knows",
            }
        )
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
