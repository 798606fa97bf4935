"""What an export has: every kind of row of a workspace, each after those it refers to.

Left out is what belongs to this installation and not to the workspace (keys and their use, people's
access, channels with their secrets, runs of imports, bulk actions and consolidations, what was
unlearned, erasures and their tombstones, whose hashes are keyed here), what follows from other rows
(the search index, kept counts), and answers kept for repeated requests.
"""

from functools import cache
from typing import Any

from django.apps import apps
from django.db import models

from config.lib.db.fields import ScopedForeignKey
from config.lib.db.models import WorkspaceRow
from contacts.services.row_exports import SECRET

Model = type[WorkspaceRow]
_OF_THE_INSTALLATION = {
    "contacts.apikey", "contacts.invitation", "contacts.membership", "contacts.bulkrun",
    "contacts.erasure", "contacts.tombstone", "contacts.usageday", "agent_sessions.pingchannel",
    "agent_sessions.pingdelivery", "memory.importrun", "memory.unlearning",
    "memory.consolidationrun",
}  # fmt: skip
_DERIVED = {
    "contacts.idempotencykey", "memory.passage", "memory.embeddingspace", "memory.rowcount",
    "memory.daycount", "contacts.storagecount",
}  # fmt: skip
# These say that a row or a change is as it was; they are no secrets.
_PROOFS = {"digest"}


def kind_of(model: Model) -> str:
    """What a model is called in exports, as in Revisions: `memory.memory`."""
    return model._meta.label_lower


@cache
def kinds() -> dict[str, Model]:
    """kind -> model, in the order in which they can be written."""
    wanted = {
        kind_of(model): model
        for model in apps.get_models()
        if issubclass(model, WorkspaceRow) and kind_of(model) not in _OF_THE_INSTALLATION | _DERIVED
    }
    ordered: dict[str, Model] = {}

    def add(kind: str) -> None:
        if kind in ordered or kind not in wanted:
            return
        for key in keys(wanted[kind]):
            target = kind_of(key.related_model)
            if target != kind:
                add(target)
        ordered[kind] = wanted[kind]

    for kind in sorted(wanted):
        add(kind)
    return ordered


@cache
def keys(model: Model) -> tuple[Any, ...]:
    """The fields that refer to rows of the workspace."""
    return tuple(f for f in model._meta.concrete_fields if isinstance(f, ScopedForeignKey))


@cache
def fields(model: Model) -> tuple[Any, ...]:
    """What of a row is exported."""
    return tuple(
        field
        for field in model._meta.concrete_fields
        if field.name != "workspace"
        and not isinstance(field, models.GeneratedField)
        and (field.name in _PROOFS or field.attname not in SECRET)
    )
