"""The Amp session manager: `sessions.sqlite`, before and after threads had tables of their own.

Before, a session names its thread in `threadId`. Migration 001 gave each such session a thread with
one system message, and later code a second, empty one by the old id: here they are one thread, and
a file of any of the three ages brings the same ones.
"""

from memory.importers.amp.reader import AMP

__all__ = ["AMP"]
