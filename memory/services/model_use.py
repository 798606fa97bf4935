"""The language model that proposes: its server, what a workspace may use of it a day, and what it
used. One server and one budget, whatever it is asked for (proposals.py, judgements.py)."""

from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.db.models import F

from config.lib import clock
from memory.endpoints.answers import EndpointError
from memory.endpoints.chat import AnthropicChat, Chat, OpenAIChat, Purpose
from memory.endpoints.pause import Pause
from memory.models import ModelUse

FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=1), timedelta(hours=6)
# What a model answers with nonsense so often is passed over.
MOST_FAILURES = 3
BUDGET_USED = "The day's budget (REMEMBRANCER_EXTRACT_TOKENS) was used."

pause = Pause()


def is_set() -> bool:
    return settings.EXTRACT_PROVIDER != "none" and settings.EXTRACT_TOKENS > 0


def get_chat(purpose: Purpose) -> Chat:
    """Raises the purpose's error for settings that cannot be used."""
    kind = OpenAIChat if settings.EXTRACT_PROVIDER == "openai" else AnthropicChat
    return kind(
        purpose,
        url=settings.EXTRACT_URL,
        model=settings.EXTRACT_MODEL,
        api_key=settings.EXTRACT_API_KEY,
        timeout=settings.EXTRACT_TIMEOUT,
    )


def server() -> str:
    return f"{settings.EXTRACT_PROVIDER} {urlsplit(settings.EXTRACT_URL).netloc}"


def reserve(tokens: int) -> date | None:
    """Today, with so many tokens taken from its budget; None where they are not there."""
    today = clock.now().astimezone(UTC).date()
    ModelUse.objects.bulk_create([ModelUse(day=today)], ignore_conflicts=True)
    row = ModelUse.objects.filter(day=today, tokens__lte=settings.EXTRACT_TOKENS - tokens)
    taken = row.update(tokens=F("tokens") + tokens, calls=F("calls") + 1)
    if not taken:
        ModelUse.objects.filter(day=today).update(problem=BUDGET_USED)
    return today if taken else None


def settle(day: date, reserved: int, used: int, error: EndpointError | None = None) -> None:
    """What was reserved becomes what was used; the day's row says what went wrong last."""
    changes: dict[str, object] = {"tokens": F("tokens") - reserved + used}
    if error is not None:
        changes |= {"failures": F("failures") + 1, "problem": str(error)[:300]}
    ModelUse.objects.filter(day=day).update(**changes)


def wait_after(failures: int, error: EndpointError) -> timedelta:
    """Longer each time, and at least as long as the server asked for."""
    wait = min(FIRST_WAIT * 2 ** min(failures - 1, 10), LONGEST_WAIT)
    return max(wait, timedelta(seconds=min(error.retry_after or 0.0, 86_400.0)))


def tomorrow() -> datetime:
    now = clock.now().astimezone(UTC)
    return (now + timedelta(days=1)).replace(hour=0, minute=0, second=5, microsecond=0)
