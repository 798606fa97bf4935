"""Reads Codex rollouts (JSON lines below `~/.codex/sessions`).

A rollout's lines are put into the words of Claude Code's transcripts (`lines.py`), so that reading,
keys, pairing of tools, raw lines and storing are those of `claude_code`. Today's lines are
`{timestamp, type, payload}`; those from before September 2025 are the payloads alone.
"""

from memory.importers.codex.source import CODEX

__all__ = ["CODEX"]
