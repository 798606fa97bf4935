"""Our own export (docs/export.md) as a source of the import frame.

Rows keep their ids, which are of one workspace, so that what refers to them still does. Agents and
tags that are here by their name are taken for the same. With `keep_ids` the workspace too is the
exported one, and its history comes along: what results is exported again byte for byte.
"""

from memory.importers.remembrancer.reader import REMEMBRANCER, exported_workspace

__all__ = ["REMEMBRANCER", "exported_workspace"]
