"""Kept counts (RowCount, DayCount): what the stats show follows from the rows."""

# ruff: noqa: S608  (what is put into SQL here is names of our own)
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db.models import Q, Sum

from config.lib import clock
from contacts.models import StorageCount
from contacts.services import usage
from memory.counted import COUNTED, PENDING
from memory.models import DayCount, ImportRun, RowCount
from memory.services.counts import is_due, refresh_counts
from memory.verify.report import Check, Options, fetch, patient_scope

CATEGORY = "rows"
# Between two runs of the job that counts again, and some more: until then a count may be of before
# rows were deleted.
GRACE = timedelta(minutes=5)
# What may come and go between two measurements.
STORAGE_SLACK, STORAGE_SHARE = 16 * 1024**2, 0.5


def check(workspace_id: uuid.UUID, options: Options) -> Iterator[Check]:
    """Outside any scope: opens its own."""
    result = _counts(workspace_id)
    if result.findings and options.fix:
        before = result.problems
        _count_again(workspace_id)
        result = _counts(workspace_id)
        for text in before:
            if text not in result.problems:
                result.mended(text)
    yield result
    storage = _storage(workspace_id)
    if storage.findings and options.fix:
        before = storage.problems
        usage.measure_storage(workspace_id, anyway=True)
        storage = _storage(workspace_id)
        if not storage.findings:
            storage.mended(before[0])
    yield storage


def _storage(workspace_id: uuid.UUID) -> Check:
    """What the rows take, measured anew. Between two runs of the job rows come and go, so only what
    that does not explain is wrong."""
    result = Check(CATEGORY, "kept storage")
    with patient_scope(workspace_id):
        kept = StorageCount.objects.first()
        if kept is None:
            return result
        there = usage.measure().bytes
        problem = (
            f"storage: {kept.bytes:,} bytes measured {kept.measured_at:%H:%M}, {there:,} there"
        )
        slack = max(STORAGE_SLACK, kept.added, int(STORAGE_SHARE * there))
        right = abs(there - kept.bytes) <= slack
        if not right and (usage.is_due(kept) or _imported_since(kept.measured_at)):
            result.notes.append(f"{problem}; the job measures again soon")
            right = True
        result.saw(right, problem)
    return result


def _imported_since(measured_at: datetime) -> bool:
    """Whether an import, which is nobody's to be held to a budget and so is not added, brought rows
    or took them back since, or goes on."""
    late = Q(ended_at=None) | Q(ended_at__gt=measured_at) | Q(undone_at__gt=measured_at)
    return ImportRun.objects.filter(late).exists()


def _counts(workspace_id: uuid.UUID) -> Check:
    result = Check(CATEGORY, "kept counts")
    now = clock.now()
    with patient_scope(workspace_id):
        for kept in RowCount.objects.exclude(what=PENDING).order_by("what"):
            each = COUNTED.get(kept.what)
            if each is None:
                result.saw(False, f"{kept.what} is not counted by this release")
                continue
            ((there,),) = fetch(
                f"SELECT count(*) FROM {each.table} WHERE t.workspace_id = %s AND t.id <= %s",
                workspace_id, kept.counted_to,
            )  # fmt: skip
            said = sum(kept.counts.values())
            by_day = said
            if each.day:
                days = DayCount.objects.filter(what=each.what)
                by_day = days.aggregate(n=Sum("count"))["n"] or 0
            right = said == there == by_day
            problem = f"{kept.what}: {said:,} counted, {by_day:,} by day, {there:,} there"
            if not right and not is_due(each, kept, now - GRACE):
                result.notes.append(f"{problem}; the job counts again soon")
                right = True
            result.saw(right, problem)
    return result


def _count_again(workspace_id: uuid.UUID) -> None:
    with patient_scope(workspace_id):
        RowCount.objects.exclude(what__in=[*COUNTED, PENDING]).delete()
        # As if it had never been done: then all rows are gone through.
        RowCount.objects.update(recounted_at=clock.now() - timedelta(days=3650))
    refresh_counts(workspace_id)
