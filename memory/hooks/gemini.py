"""Gemini CLI: https://geminicli.com/docs/hooks/reference."""

from memory.hooks.forms import Form, Payload
from memory.hooks.hook_json import (
    call,
    compaction,
    end,
    known,
    notification,
    prompt,
    result,
    start,
    stop,
)


def _compress(payload: Payload) -> Form:
    """By hand it is a compaction. The other comes before every turn, to look whether one is due,
    and nothing says whether it was."""
    return (compaction if payload.name("trigger") == "manual" else known)(payload)


READERS = {
    "SessionStart": start,
    "BeforeAgent": prompt,
    "AfterAgent": stop,
    "BeforeTool": call,
    "AfterTool": result,
    "PreCompress": _compress,
    "Notification": notification,
    "SessionEnd": end,
    # One for each request to the model; the turn and its tools say what came of them.
    "BeforeModel": known,
    "AfterModel": known,
    "BeforeToolSelection": known,
}
