"""What can be done on the home page to what needs a person: the actions of the rows' own pages."""

from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse

from contacts.admin.access import allows
from contacts.admin.actions import RowAction
from memory.models import Memory
from memory.schemas_attention import AttentionItem, AttentionKind
from sessions.models import Ping, ScheduledMission, Session, Worker

# Which of a model's row actions are offered, and as what: shorter than on their own page.
OFFERED: dict[AttentionKind, tuple[type[Model], dict[str, str]]] = {
    AttentionKind.PING: (Ping, {"answer": "", "resolve": "Settle"}),
    AttentionKind.CLARIFICATION: (Worker, {"answer": ""}),
    AttentionKind.FAILED_WORKER: (Worker, {"retry": "Try again"}),
    AttentionKind.PAUSED_MISSION: (ScheduledMission, {"enable": "Enable again"}),
    AttentionKind.ORPHAN: (Session, {"end": "End it"}),
    AttentionKind.REVIEW: (Memory, {"approve": "Approve", "reject": "Reject"}),
}
ICONS = {
    AttentionKind.PING: "campaign",
    AttentionKind.CLARIFICATION: "contact_support",
    AttentionKind.PAUSED_MISSION: "pause_circle",
    AttentionKind.FAILED_MISSION: "rocket_launch",
    AttentionKind.FAILED_WORKER: "engineering",
    AttentionKind.FULL_CONTEXT: "data_usage",
    AttentionKind.ORPHAN: "link_off",
    AttentionKind.REVIEW: "neurology",
    AttentionKind.HOOK_PAYLOAD: "webhook",
    AttentionKind.CONSOLIDATION: "compress",
}


@dataclass(frozen=True, slots=True)
class Act:
    """A form of one button. `version`: the row must still be the one that was decided on."""

    label: str
    icon: str
    tone: str
    url: str
    version: int | None


@dataclass(frozen=True, slots=True)
class Needed:
    """One row of "Needs you". `answer_url` is where an option or other words are sent."""

    item: AttentionItem
    icon: str
    acts: list[Act]
    answer_url: str

    @property
    def key(self) -> str:
        return f"{self.item.kind}-{self.item.id}"


def needed(request: HttpRequest, item: AttentionItem) -> Needed:
    """With what this person's role may do."""
    model, labels = OFFERED.get(item.kind, (None, {}))
    acts, answer_url = [], ""
    for action in _actions(model):
        if action.name not in labels or not allows(request, action.role):
            continue
        url = act_url(model, item.id, action.name)
        if action.takes_text:
            answer_url = url
            continue
        # An answer is one whatever else happened to its ping; a verdict is on what was read.
        version = item.version if item.kind == AttentionKind.REVIEW else None
        acts.append(Act(labels[action.name], action.icon, action.tone, url, version))
    return Needed(item, ICONS[item.kind], acts, answer_url)


def _actions(model: type[Model] | None) -> tuple[RowAction, ...]:
    page: Any = admin.site.get_model_admin(model) if model is not None else None
    return page.row_actions if page is not None else ()


def act_url(model: Any, row_id: Any, action: str) -> str:
    meta = model._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_do", args=[row_id, action])
