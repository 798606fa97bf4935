"""The one way rows are written: checked, versioned, recorded, announced.

Services call these functions and nothing else writes rows that people or agents change. Each
leaves one Revision in the same transaction. Not for telemetry and append-only rows: `touch` and
`append` write those, without version and Revision, but through the same checks.

This is the only door; its modules are by what is written: one row (`single`), `many`, what is only
`appended`, `telemetry`, what is `erased`; through `checks`, of `values`, leaving `revisions`.
"""

from contacts.services.funnel.appended import append, append_once
from contacts.services.funnel.checks import EMPTY, check
from contacts.services.funnel.erased import erase, strike
from contacts.services.funnel.many import create_many, delete_many, put_back, update_many
from contacts.services.funnel.revisions import record, record_cascading, record_changes, record_many
from contacts.services.funnel.single import create, delete, get_row, once, update
from contacts.services.funnel.telemetry import touch, touch_all, touch_each
from contacts.services.funnel.values import HIDDEN, Part, plain, snapshot

__all__ = [
    "EMPTY",
    "HIDDEN",
    "Part",
    "append",
    "append_once",
    "check",
    "create",
    "create_many",
    "delete",
    "delete_many",
    "erase",
    "get_row",
    "once",
    "plain",
    "put_back",
    "record",
    "record_cascading",
    "record_changes",
    "record_many",
    "snapshot",
    "strike",
    "touch",
    "touch_all",
    "touch_each",
    "update",
    "update_many",
]
