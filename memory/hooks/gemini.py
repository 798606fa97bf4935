"""Gemini CLI: https://geminicli.com/docs/hooks/reference."""

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

READERS = {
    "SessionStart": start,
    "BeforeAgent": prompt,
    "AfterAgent": stop,
    "BeforeTool": call,
    "AfterTool": result,
    "PreCompress": compaction,
    "Notification": notification,
    "SessionEnd": end,
    # One for each request to the model; the turn and its tools say what came of them.
    "BeforeModel": known,
    "AfterModel": known,
    "BeforeToolSelection": known,
}
