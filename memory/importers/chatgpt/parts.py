"""What a message of ChatGPT says: its text, and its content as blocks."""

from collections.abc import Mapping
from typing import Any

from memory.importers.problems import Code
from memory.importers.values import Fields, without_empty

Block = dict[str, Any]
# Where a part has its words, by what it is.
_SAID = ("text", "transcript", "result", "content")


def content_of(f: Fields, content: Any, *, author: str) -> tuple[str, list[Block]]:
    """(text that a person reads, blocks). `author` names the tool, where one speaks."""
    if not isinstance(content, Mapping):
        if content is not None:
            f.find(Code.LEGACY_SHAPE, "content is not an object", "its text was kept")
        text = content if isinstance(content, str) else ""
        return text, [_text(text)] if text else []
    kind = str(content.get("content_type") or "text")
    if kind in ("text", "multimodal_text") or isinstance(content.get("parts"), list):
        return _parts(content.get("parts"))
    if kind == "code":
        code = _string(content.get("text"))
        language = _string(content.get("language"))
        return code, [{"type": "tool_use", "name": language, "input": {"code": code}}]
    if kind in ("execution_output", "system_error", "tether_browsing_display", "tether_quote"):
        said = next((text for name in _SAID if (text := _string(content.get(name)))), "")
        kept = {k: v for k, v in content.items() if k not in ("content_type", *_SAID)}
        block = {"type": "tool_result", "name": author, "content": said}
        return said, [block | without_empty(content_type=kind, more=without_empty(**_named(kept)))]
    if kind == "thoughts":
        thoughts = content.get("thoughts")
        listed = thoughts if isinstance(thoughts, list) else []
        said = "\n\n".join(
            text
            for one in listed
            if isinstance(one, Mapping)
            and (text := _string(one.get("content")) or _string(one.get("summary")))
        )
        return "", [{"type": "thinking", "thinking": said}] if said else []
    if kind == "reasoning_recap":
        said = _string(content.get("content"))
        return "", [{"type": "thinking", "thinking": said}] if said else []
    if kind == "user_editable_context":
        said = "\n\n".join(
            text
            for name in ("user_profile", "user_instructions")
            if (text := _string(content.get(name)))
        )
        return said, [_text(said)] if said else []
    said = next((text for name in _SAID if (text := _string(content.get(name)))), "")
    return said, [{"type": kind, **{k: v for k, v in content.items() if k != "content_type"}}]


def _parts(parts: Any) -> tuple[str, list[Block]]:
    texts: list[str] = []
    blocks: list[Block] = []
    for part in parts if isinstance(parts, list) else [parts]:
        if isinstance(part, str):
            if part:
                texts.append(part)
                blocks.append(_text(part))
        elif isinstance(part, Mapping):
            kind = str(part.get("content_type") or "part")
            rest = _named({k: v for k, v in part.items() if k != "content_type"})
            if kind == "image_asset_pointer":
                blocks.append({"type": "image", **without_empty(**rest)})
                continue
            said = next((text for name in _SAID if (text := _string(part.get(name)))), "")
            if said:
                texts.append(said)
            blocks.append({"type": kind, **without_empty(**rest)})
        elif part is not None:
            texts.append(str(part))
            blocks.append(_text(str(part)))
    return "\n\n".join(texts), blocks


def _named(values: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(name): value for name, value in values.items()}


def _text(text: str) -> Block:
    return {"type": "text", "text": text}


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""
