"""Data sets for measuring retrieval: documents with time, thread and speaker, queries with what
they must find.

The general form is a JSON object `{name, groups: [{id, documents: [{id, thread, role, speaker,
time, text}], queries: [{q, gold: [ids], category, time}]}]}`. Left out may be `thread` (the
document is a memory then, not a message), `role` (user), `speaker`, `time` (as of the document
before; of a query: the day after the last document) and `category`. Documents stand in the order
in which they were said, and a group is searched on its own. LoCoMo (Maharana et al., Evaluating
Very Long-Term Conversational Memory of LLM Agents, 2024) is read as it is published.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROLES = frozenset({"user", "assistant", "tool", "system"})
# A question without an answer in the conversation: what it finds is no merit.
ADVERSARIAL = "5"
_EVIDENCE = re.compile(r"D\d+:\d+")
_FORMATS = ("%I:%M %p on %d %B, %Y", "%B-%d-%Y")


class DatasetError(Exception):
    """The file is not a data set; says where and why."""


@dataclass(frozen=True, slots=True)
class Document:
    id: str
    thread: str
    text: str
    role: str = "user"
    time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Query:
    q: str
    gold: frozenset[str]
    category: str = ""
    time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """What is searched together, with the queries asked of it."""

    id: str
    documents: list[Document]
    queries: list[Query]


@dataclass(frozen=True, slots=True)
class Dataset:
    name: str
    groups: list[Group]


def read_dataset(path: Path, form: str = "") -> Dataset:
    """The data set of a file, in the given form ("locomo", "general") or in either. Raises
    DatasetError."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror or error}") from None
    except ValueError as error:
        raise DatasetError(f"{path}: is not JSON: {error}") from None
    try:
        if form == "locomo" or (not form and isinstance(content, list)):
            return Dataset("locomo", [_locomo(one) for one in content])
        return Dataset(str(content["name"]), [_group(one) for one in content["groups"]])
    except (KeyError, TypeError, AttributeError) as error:
        raise DatasetError(
            f"{path}: is not in the form of {form or 'any data set'}: "
            f"{type(error).__name__} {error}"
        ) from None
    except DatasetError as error:
        raise DatasetError(f"{path}: {error}") from None


def _group(found: dict[str, Any]) -> Group:
    group = str(found["id"])
    time: datetime | None = None
    documents = []
    for one in found["documents"]:
        # Left out: as of the document before.
        time = _time(one.get("time")) or time
        speaker, text = str(one.get("speaker") or ""), str(one["text"])
        role = str(one.get("role") or "user")
        documents.append(
            Document(
                id=str(one["id"]),
                thread=str(one.get("thread") or ""),
                text=f"{speaker}: {text}" if speaker else text,
                role=role if role in ROLES else "user",
                time=time,
            )
        )
    latest = _latest(documents)
    queries = [
        Query(
            str(one["q"]),
            frozenset(map(str, one["gold"])),
            str(one.get("category", "")),
            _time(one.get("time")) or latest,
        )
        for one in found["queries"]
    ]
    return _checked(group, documents, queries)


def _checked(group: str, documents: list[Document], queries: list[Query]) -> Group:
    ids = {document.id for document in documents}
    if len(ids) != len(documents):
        raise DatasetError(f"group {group}: two documents have one id")
    for query in queries:
        if strange := sorted(query.gold - ids):
            raise DatasetError(f"group {group}: {query.q[:60]!r} names no document {strange[0]!r}")
    return Group(group, documents, [query for query in queries if query.gold])


def _locomo(found: dict[str, Any]) -> Group:
    """One message a turn, "Speaker: text" and the caption of a picture; a thread a session."""
    talk = found["conversation"]
    documents = []
    number = 1
    while f"session_{number}" in talk:
        time = _time(talk[f"session_{number}_date_time"])
        for turn in talk[f"session_{number}"]:
            caption = turn.get("blip_caption")
            text = f"{turn['speaker']}: {turn['text']}" + (f" {caption}" if caption else "")
            documents.append(Document(turn["dia_id"], str(number), text, time=time))
        number += 1
    known = {document.id for document in documents}
    latest = _latest(documents)
    queries = [
        Query(one["question"], _evidence(one["evidence"], known), str(one["category"]), latest)
        for one in found["qa"]
    ]
    return _checked(str(found["sample_id"]), documents, queries)


def _latest(documents: Iterable[Document]) -> datetime | None:
    """Who asks knows the last document: the day after it is as good a guess as any."""
    times = [document.time for document in documents if document.time is not None]
    return max(times) + timedelta(days=1) if times else None


def _evidence(found: Iterable[str], known: set[str]) -> frozenset[str]:
    """Some entries name several turns, and some none that is there."""
    return frozenset(one for text in found for one in _EVIDENCE.findall(text) if one in known)


def _time(value: Any) -> datetime | None:
    if not value:
        return None
    text = str(value)
    for form in _FORMATS:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise DatasetError(f"{text!r} is not a time") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
