"""What was taken back or brought back, and what stays."""

import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from django.apps import apps

MOST_KEPT = 200


@dataclass(frozen=True, slots=True)
class Kept:
    """A row that stays; `model` is its label, `name` what it is called here, if known."""

    model: str
    row_id: uuid.UUID
    why: str
    name: str = ""


@dataclass(slots=True)
class Report:
    """Rows by table, and the first ones that stay."""

    archived: Counter[str] = field(default_factory=Counter)
    removed: Counter[str] = field(default_factory=Counter)
    reverted: Counter[str] = field(default_factory=Counter)
    losing: Counter[str] = field(default_factory=Counter)
    staying: Counter[str] = field(default_factory=Counter)
    kept: list[Kept] = field(default_factory=list)

    def keep(self, model: str, row_id: uuid.UUID, why: str, name: str = "") -> None:
        self.staying[named(model)] += 1
        if len(self.kept) < MOST_KEPT:
            self.kept.append(Kept(model, row_id, why, name))

    def keep_row(self, row: Any, why: str) -> None:
        self.keep(row._meta.label_lower, row.pk, why, str(row)[:80])

    def add(self, other: "Report") -> None:
        """What became of more rows."""
        for name in _COUNTS:
            getattr(self, name).update(getattr(other, name))
        self.kept += other.kept[: max(0, MOST_KEPT - len(self.kept))]

    def as_dict(self) -> dict[str, Any]:
        """Without names, which are looked up by who may see them."""
        said: dict[str, Any] = {
            name: dict(sorted((+getattr(self, name)).items())) for name in _COUNTS
        }
        kept = [{"model": one.model, "id": str(one.row_id), "why": one.why} for one in self.kept]
        return said | {"kept": kept}


_COUNTS = ("archived", "removed", "reverted", "losing", "staying")


def named(label: str) -> str:
    return str(apps.get_model(label)._meta.verbose_name)
