"""What a workspace's settings say to the product: checked when they change, read where they count.

Other keys of `Workspace.settings` are the callers' own; nothing here looks at them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django.conf import settings as product
from phonenumbers import SUPPORTED_REGIONS

from config.lib.errors import Invalid
from config.lib.patterns import broad_patterns, extra_problems
from config.lib.scope import current_workspace_id
from contacts.models import Workspace

MAX_THRESHOLDS = 20
# What all keys of a workspace may write a day, and what its rows may take.
BUDGETS = ("daily_rows", "daily_bytes", "stored_bytes")
MOST_BUDGET = 10**18
# From a coffee break to a year.
MIN_ORPHAN_MINUTES, MAX_ORPHAN_MINUTES = 5, 366 * 24 * 60
# What may have a time after which it goes; memory/services/retention.py says how.
RETAINED = (
    "receipts", "payloads", "golden_runs", "key_usage", "notifications", "events", "raw_lines",
    "worker_output", "revisions",
)  # fmt: skip
MAX_DAYS = 36_500
# After how many days a memory's age may count half: from a day to ten years.
MIN_HALF_LIFE, MAX_HALF_LIFE = 1, 3650


@dataclass(frozen=True, slots=True)
class Consolidation:
    """Whether a job tells episodes as narratives, whether the sources are archived by that, and
    which share of the memories in use may be so without a person's word, 0 to 1."""

    enabled: bool = False
    hide: bool = False
    most_share: float = 0.2


@dataclass(frozen=True, slots=True)
class Decay:
    """Whether searches that do not say so let a memory's strength count, how much (0 to 1), and
    after how many days its age counts half."""

    enabled: bool = False
    weight: float = 0.5
    half_life_days: float = 30.0


@dataclass(frozen=True, slots=True)
class Preferences:
    """`context_thresholds` are percents, ascending; silence of `orphan_after` ends. `retention`
    has the days of the kinds that the workspace has its own of; None is for ever."""

    timezone: ZoneInfo
    context_thresholds: tuple[int, ...]
    orphan_after: timedelta
    retention: Mapping[str, int | None]
    consolidation: Consolidation = Consolidation()
    decay: Decay = Decay()


def preferences() -> Preferences:
    """Those of the current workspace, the product's own where it has none. One row by its key."""
    held = Workspace.objects.values_list("settings", flat=True).get(pk=current_workspace_id())
    return preferences_in(held)


def preferences_in(held: Mapping[str, Any]) -> Preferences:
    """The same from a workspace's settings that were read already."""
    thresholds: Any
    minutes: Any
    thresholds, minutes = held.get("context_thresholds"), held.get("orphan_minutes")
    # A key that a caller had used for something of its own says nothing to us.
    if thresholds_problem(thresholds):
        thresholds = product.CONTEXT_THRESHOLDS
    if minutes_problem(minutes):
        minutes = product.ORPHAN_MINUTES
    retention: Any = held.get("retention")
    if retention_problem(retention):
        retention = {}
    return Preferences(
        timezone=ZoneInfo(held.get("timezone", "UTC")),
        context_thresholds=tuple(sorted(thresholds)),
        orphan_after=timedelta(minutes=minutes),
        consolidation=_consolidation(held.get("consolidation")),
        decay=_decay(held.get("decay")),
        retention=retention,
    )


def check_settings(settings: Mapping[str, Any]) -> None:
    """Raises Invalid naming each key whose value the product could not go by."""
    problems = {
        f"settings.{key}": rule(settings[key]) for key, rule in _RULES.items() if key in settings
    }
    wrong = {key: problem for key, problem in problems.items() if problem}
    if "redaction" in settings:
        redaction = settings["redaction"]
        found = extra_problems(redaction) or broad_patterns(redaction)
        wrong |= {f"settings.redaction{path}": problem for path, problem in found.items()}
    if wrong:
        raise Invalid(wrong)


def budget_in(held: Mapping[str, Any], name: str) -> int:
    """One of BUDGETS, the product's own where the workspace has none; 0 is no limit."""
    value = held.get(name)
    return int(getattr(product, name.upper()) if value is None or _budget_problem(value) else value)


def _budget_problem(value: Any) -> str:
    good = _is_whole(value) and 0 <= value <= MOST_BUDGET
    return "" if good else "must be a whole number from 0, which is no limit"


def is_timezone(name: Any) -> bool:
    """Whether it is an IANA name. `localtime` is a file of some machines, no name."""
    return isinstance(name, str) and name != "localtime" and name in available_timezones()


def _timezone_problem(value: Any) -> str:
    return "" if is_timezone(value) else "is not an IANA time zone"


def _region_problem(value: Any) -> str:
    known = isinstance(value, str) and value.upper() in SUPPORTED_REGIONS
    return "" if known else "is not an ISO 3166 country code such as CH"


def thresholds_problem(value: Any) -> str:
    """Why `value` is no list of percents, or nothing. An empty one switches the warnings off."""
    good = (
        isinstance(value, list)
        and len(value) <= MAX_THRESHOLDS
        and all(_is_whole(one) and 1 <= one <= 100 for one in value)
        and len(set(value)) == len(value)
    )
    problem = f"must be a list of at most {MAX_THRESHOLDS} different whole percents from 1 to 100"
    return "" if good else problem


def _consolidation(value: Any) -> Consolidation:
    return Consolidation() if consolidation_problem(value) else Consolidation(**value)


def consolidation_problem(value: Any) -> str:
    """Why `value` says nothing of consolidation, or nothing."""
    known = {"enabled", "hide", "most_share"}
    if not isinstance(value, dict) or value.keys() - known:
        return "must be an object of enabled, hide and most_share"
    if not all(isinstance(value.get(name, False), bool) for name in ("enabled", "hide")):
        return "enabled and hide must be true or false"
    good = _is_between(value.get("most_share", 0.2), 0, 1)
    return "" if good else "most_share must be a number from 0 to 1"


def _decay(value: Any) -> Decay:
    return Decay() if decay_problem(value) else Decay(**value)


def decay_problem(value: Any) -> str:
    """Why `value` says nothing of decay, or nothing."""
    if not isinstance(value, dict) or value.keys() - {"enabled", "weight", "half_life_days"}:
        return "must be an object of enabled, weight and half_life_days"
    if not isinstance(value.get("enabled", False), bool):
        return "enabled must be true or false"
    if not _is_between(value.get("weight", 0.5), 0, 1):
        return "weight must be a number from 0 to 1"
    if not _is_between(value.get("half_life_days", 30), MIN_HALF_LIFE, MAX_HALF_LIFE):
        return f"half_life_days must be a number from {MIN_HALF_LIFE} to {MAX_HALF_LIFE:,}"
    return ""


def minutes_problem(value: Any) -> str:
    """Why `value` is no number of minutes, or nothing."""
    if _is_whole(value) and MIN_ORPHAN_MINUTES <= value <= MAX_ORPHAN_MINUTES:
        return ""
    return f"must be a whole number from {MIN_ORPHAN_MINUTES} to {MAX_ORPHAN_MINUTES:,}"


def retention_problem(value: Any) -> str:
    """Why `value` does not say how long what is kept, or nothing."""
    if not isinstance(value, dict):
        return "must be an object of days by kind"
    unknown = [key for key in value if key not in RETAINED]
    if unknown:
        return f"{unknown[0][:40]!r} is none of {', '.join(RETAINED)}"
    good = all(one is None or (_is_whole(one) and 1 <= one <= MAX_DAYS) for one in value.values())
    return "" if good else f"must be whole days from 1 to {MAX_DAYS:,}, or null for ever"


def _is_between(value: Any, least: float, most: float) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and least <= value <= most


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_understood(key: str, value: Any) -> bool:
    """Whether the product goes by this setting. Then it is one of few values, and no secret."""
    problem = _RULES[key](value) if key in _RULES else key != "redaction" or extra_problems(value)
    return not problem


_RULES: Mapping[str, Callable[[Any], str]] = {
    "timezone": _timezone_problem,
    "context_thresholds": thresholds_problem,
    "orphan_minutes": minutes_problem,
    "region": _region_problem,
    **dict.fromkeys(BUDGETS, _budget_problem),
    "consolidation": consolidation_problem,
    "decay": decay_problem,
    "retention": retention_problem,
}
