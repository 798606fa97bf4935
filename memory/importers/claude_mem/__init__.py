"""claude-mem's `claude-mem.db`: sessions, prompts, tool uses, observations and summaries.

Sessions stay sessions, observations and summaries become memories of them.
"""

from memory.importers.claude_mem.reader import CLAUDE_MEM

__all__ = ["CLAUDE_MEM"]
