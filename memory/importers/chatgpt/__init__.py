"""ChatGPT's data export: `conversations.json`, by itself, in its folder or in its zip.

Conversations become sessions. A conversation is a tree of messages: the path to `current_node` is
its thread, and what leaves that path a thread under it.
"""

from memory.importers.chatgpt.reader import CHATGPT

__all__ = ["CHATGPT"]
