"""CLAUDE.md files, rules, and Claude Code's auto memory: what people and agents told an agent."""

from memory.importers.claude_md.reader import CLAUDE_MD

__all__ = ["CLAUDE_MD"]
