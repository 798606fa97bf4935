"""How much a key may do: requests by a token bucket, rows and bytes by the day.

The bucket is two columns of the key's row, filled by the time that has passed: `rate` tokens a
second up to `burst`. One statement takes from it. A web process takes several tokens at once and
spends them in memory, so that most requests cost no statement: it may hold CHUNK_SECONDS worth of
the rate, or CHUNK_SHARE of the burst if that is less, for LEASE_SECONDS, and what it has not spent
by then is lost. So a key may get less than its limit by that much per process, and never more.

What was written today is read with each lease: another process's writes are known at the latest
LEASE_SECONDS and a second after they were made, and a budget may be overdrawn by as much.
Nothing here is undone with the request: a lease is a transaction of its own.
"""

import math
import time
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

import orjson
from django.conf import settings
from django.db import connection

from config.lib import clock
from config.lib.errors import OverBudget, TooMany
from config.lib.scope import set_local, workspace_scope
from contacts.models import ApiKey
from contacts.preferences import budget_in
from contacts.services import usage

LEASE_SECONDS = 5.0
CHUNK_SECONDS, CHUNK_SHARE = 0.25, 0.05
# Of keys that this process has seen; those that were used longest ago are forgotten.
MOST_KEYS = 10_000
# Asked again in vain meanwhile, a client learns nothing new.
STORAGE_RETRY = 3600


@dataclass(frozen=True, slots=True)
class Limits:
    """A key's, its own or the settings'. 0 is none."""

    rate: float
    burst: int
    daily_rows: int
    daily_bytes: int

    @property
    def chunk(self) -> int:
        return max(1, int(min(self.rate * CHUNK_SECONDS, self.burst * CHUNK_SHARE)))


def limits_of(key: ApiKey) -> Limits:
    def own(value: Any, other: Any) -> Any:
        return other if value is None else value

    return Limits(
        rate=own(key.rate_limit, settings.KEY_RATE),
        burst=max(1, own(key.burst_limit, settings.KEY_BURST)),
        daily_rows=own(key.daily_rows, settings.KEY_DAILY_ROWS),
        daily_bytes=own(key.daily_bytes, settings.KEY_DAILY_BYTES),
    )


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be written and what was, as read from the database."""

    daily_rows: int
    daily_bytes: int
    stored_bytes: int
    rows: int
    bytes: int
    stored: int
    key_rows: int
    key_bytes: int
    key_requests: int
    measured_at: datetime | None


@dataclass(slots=True)
class Allowance:
    """What one key has in this process. `until` and `closed_until` are of time.monotonic()."""

    limits: Limits
    tokens: int = 0
    until: float = 0.0
    closed_until: float = 0.0
    # In the bucket after the last lease; for the headers only.
    left: int = 0
    budget: Budget | None = None
    day: Any = None
    # Written by this process since the budget was read.
    since: usage.Used = field(default_factory=usage.Used)
    lock: Lock = field(default_factory=Lock)

    def spend(self) -> bool:
        """Take one token from what is held; False where none is, or it is too old. Raises TooMany
        while the bucket is known to be empty."""
        now = time.monotonic()
        with self.lock:
            if now < self.closed_until:
                raise too_fast(self, self.closed_until - now)
            if now >= self.until or self.budget is None:
                return False
            if self.limits.rate:
                if not self.tokens:
                    return False
                self.tokens -= 1
            return True

    def wrote(self, rows: int, size: int) -> None:
        """A request of this process is done."""
        with self.lock:
            self.since.add(usage.Used(1, rows, size if rows else 0))

    def check_budget(self, rows: int, size: int) -> None:
        """Raises OverBudget where `rows` and `size` bytes more are over a budget."""
        budget = self.budget
        if budget is None:
            return
        rows, size = rows + self.since.rows, size + self.since.bytes
        for what, used, most in (
            ("This key may write {:,} rows a day", budget.key_rows + rows,
             self.limits.daily_rows),
            ("This key may send {:,} bytes a day", budget.key_bytes + size,
             self.limits.daily_bytes),
            ("This workspace may be sent {:,} rows a day", budget.rows + rows,
             budget.daily_rows),
            ("This workspace may be sent {:,} bytes a day", budget.bytes + size,
             budget.daily_bytes),
        ):  # fmt: skip
            if most and used > most:
                raise OverBudget(
                    f"{what.format(most)} (UTC), and this would be more.",
                    retry_after=_until_midnight(), code="daily_budget",
                )  # fmt: skip
        if budget.stored_bytes and budget.stored + size > budget.stored_bytes:
            raise OverBudget(
                f"This workspace may hold {budget.stored_bytes:,} bytes, and they are used up. "
                "Delete something, or ask an owner of the workspace for more.",
                retry_after=STORAGE_RETRY, code="storage_budget",
            )  # fmt: skip


_lock = Lock()
_known: dict[uuid.UUID, Allowance] = {}


def allowance_of(key: ApiKey) -> Allowance:
    """This process's; a new one where the key's limits were changed meanwhile."""
    limits, today = limits_of(key), clock.now().date()
    with _lock:
        found = _known.get(key.pk)
        if found is None or found.limits != limits or found.day != today:
            if found is None and len(_known) >= MOST_KEYS:
                del _known[next(iter(_known))]
            found = _known[key.pk] = Allowance(limits, day=today)
    return found


def forget() -> None:
    """As a process that has just begun."""
    with _lock:
        _known.clear()


# `available`, twice: what was there and what has come since, no more than fits in.
_AVAILABLE = (
    "least(%(burst)s::float8, "
    "bucket_tokens + greatest(0::float8, %(now)s::float8 - bucket_at) * %(rate)s::float8)"
)
_TAKE = f"""
    UPDATE contacts_apikey
       SET bucket_granted = floor(least(%(wanted)s::float8, {_AVAILABLE}))::integer,
           bucket_tokens = {_AVAILABLE} - floor(least(%(wanted)s::float8, {_AVAILABLE})),
           bucket_at = greatest(bucket_at, %(now)s::float8)
     WHERE workspace_id = %(workspace)s AND id = %(key)s
    RETURNING bucket_granted, bucket_tokens
"""  # noqa: S608  (no values)

# What every key of the workspace wrote today, index usageday_unique.
_READ = """
    SELECT (SELECT settings FROM contacts_workspace WHERE id = %(workspace)s),
           s.bytes + s.added, s.measured_at, u.rows, u.bytes, k.rows, k.bytes, k.requests
      FROM (SELECT sum(rows)::bigint AS rows, sum(bytes)::bigint AS bytes FROM contacts_usageday
             WHERE workspace_id = %(workspace)s AND day = %(day)s) u
      LEFT JOIN contacts_usageday k ON k.workspace_id = %(workspace)s AND k.day = %(day)s
            AND k.api_key_id = %(key)s
      LEFT JOIN contacts_storagecount s ON s.workspace_id = %(workspace)s
"""


def lease(key: ApiKey, allowance: Allowance) -> None:
    """Take tokens for this request and some to come, and read the budgets; two statements in a
    transaction of its own, not waited for on disk. Outside any scope. Raises TooMany."""
    workspace_id: uuid.UUID = key.workspace_id  # type: ignore[assignment]
    limits = allowance.limits
    granted, left = limits.chunk, 0.0
    with workspace_scope(workspace_id), connection.cursor() as cursor:
        set_local("synchronous_commit", "off")
        if limits.rate:
            now = time.time()
            cursor.execute(
                _TAKE,
                {
                    "burst": limits.burst, "rate": limits.rate, "now": now,
                    "wanted": limits.chunk, "workspace": workspace_id, "key": key.pk,
                },
            )  # fmt: skip
            granted, left = cursor.fetchone() or (0, 0.0)
        budget = read_budget(key)
    now = time.monotonic()
    with allowance.lock:
        allowance.left = int(left)
        allowance.budget = budget
        allowance.since = usage.waiting(workspace_id, key.pk)
        if not granted:
            wait = (1 - left) / limits.rate
            allowance.closed_until = now + wait
            raise too_fast(allowance, wait)
        # What another thread leased meanwhile is spent too.
        held = allowance.tokens if now < allowance.until else 0
        allowance.tokens = held + granted - 1
        allowance.until = now + LEASE_SECONDS


def read_budget(key: ApiKey) -> Budget:
    """In a scope. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            _READ,
            {"workspace": key.workspace_id, "day": clock.now().date(), "key": key.pk},
        )
        held, stored, measured_at, *sums = cursor.fetchone()
    held = orjson.loads(held)
    rows, size, key_rows, key_bytes, key_requests = (int(one or 0) for one in sums)
    return Budget(
        daily_rows=budget_in(held, "daily_rows"),
        daily_bytes=budget_in(held, "daily_bytes"),
        stored_bytes=budget_in(held, "stored_bytes"),
        rows=rows,
        bytes=size,
        stored=int(stored or 0),
        key_rows=key_rows,
        key_bytes=key_bytes,
        key_requests=key_requests,
        measured_at=measured_at,
    )


def too_fast(allowance: Allowance, wait: float) -> TooMany:
    limits = allowance.limits
    return TooMany(
        f"This key may make {limits.rate:g} requests a second, and {limits.burst:,} at once.",
        retry_after=max(1, math.ceil(wait))
    )  # fmt: skip


def headers(allowance: Allowance) -> dict[str, str]:
    """RateLimit-Policy and RateLimit, as draft-ietf-httpapi-ratelimit-headers-10 has them: the
    bucket as a quota of `burst` in the seconds that fill it. Empty without a limit."""
    limits = allowance.limits
    if not limits.rate:
        return {}
    window = max(1, math.ceil(limits.burst / limits.rate))
    left = allowance.left + allowance.tokens
    wait = math.ceil(max(0, limits.burst - left) / limits.rate)
    return {
        "RateLimit-Policy": f'"key";q={limits.burst};w={window}',
        "RateLimit": f'"key";r={left};t={wait}',
    }


def _until_midnight() -> int:
    now = clock.now()
    tomorrow = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return max(1, math.ceil((tomorrow - now).total_seconds()))
