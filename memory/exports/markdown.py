"""A workspace as people read it: threads and memories as Markdown, contacts as vCards.

Memories are notes as basic-memory has them: front matter, an observation, relations by title. Not
for bringing a workspace back (ndjson.py).
"""

import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from django.db.models import QuerySet

from config.lib.scope import workspace_scope
from contacts.models import Workspace
from contacts.selectors_contacts import ContactFilter
from contacts.services.exports import FileFormat, export_contacts
from memory.models import Memory, MemoryLink
from sessions.models import Message, Thread

BATCH = 100
TITLE = 80
_UNSAFE = re.compile(r"[^\w]+")


def export_markdown(workspace: Workspace, folder: Path, *, since: datetime | None = None) -> int:
    """Write `threads/`, `memories/` and `contacts.vcf` into a folder that is empty or not there;
    how many files. Outside any scope. Raises OSError, and leaves nothing."""
    there = folder.exists()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        return _export(workspace, folder, since)
    except BaseException:
        for part in ("threads", "memories"):
            shutil.rmtree(folder / part, ignore_errors=True)
        (folder / "contacts.vcf").unlink(missing_ok=True)
        if not there:
            folder.rmdir()
        raise


def _export(workspace: Workspace, folder: Path, since: datetime | None) -> int:
    files = 0
    parts: tuple[tuple[str, QuerySet[Any], Callable[[Any], Iterator[str]]], ...] = (
        ("threads", Thread.objects.all(), _thread),
        ("memories", Memory.objects.all(), _memory),
    )
    for name, rows, written in parts:
        (folder / name).mkdir(mode=0o700)
        wanted = rows if since is None else rows.filter(updated_at__gte=since)
        last: uuid.UUID | None = None
        while True:
            with workspace_scope(workspace.id):
                page = wanted if last is None else wanted.filter(pk__gt=last)
                batch = list(page.defer(None).order_by("pk")[:BATCH])
                for row in batch:
                    path = folder / name / f"{_name(row)}.md"
                    with path.open("w", encoding="utf-8") as file:
                        file.writelines(written(row))
                    files += 1
            if len(batch) < BATCH:
                break
            last = batch[-1].pk
    with (folder / "contacts.vcf").open("wb") as cards:
        wanted_format = FileFormat.VCARD4
        cards.writelines(
            export_contacts(
                workspace_id=workspace.id, wanted=ContactFilter(), wanted_format=wanted_format
            )
        )
    return files + 1


def title_of(row: Thread | Memory) -> str:
    """One line; unique with the end of the id, which names of files and relations have too."""
    text = row.name if isinstance(row, Thread) else row.text
    return " ".join(text.split())[:TITLE] or str(row._meta.verbose_name)


def _name(row: Thread | Memory) -> str:
    words = _UNSAFE.sub("-", title_of(row).lower()).strip("-")[:60] or "untitled"
    return f"{row.created_at:%Y-%m-%d}-{words}-{row.pk.hex[-8:]}"


def _front(**values: Any) -> str:
    """JSON is YAML too, and quotes whatever stands in a text."""
    lines = "".join(f"{name}: {orjson.dumps(value).decode()}\n" for name, value in values.items())
    return f"---\n{lines}---\n\n"


def _thread(thread: Thread) -> Iterator[str]:
    yield _front(
        title=title_of(thread), type="thread", id=str(thread.pk),
        session=str(thread.session_id) if thread.session_id else None, created=thread.created_at,
    )  # fmt: skip
    yield f"# {title_of(thread)}\n"
    for message in Message.objects.filter(thread=thread).order_by("idx").iterator(BATCH):
        yield f"\n## {message.role}, {message.occurred_at:%Y-%m-%d %H:%M} UTC\n\n"
        yield f"{message.content.rstrip()}\n"


def _memory(memory: Memory) -> Iterator[str]:
    name = _name(memory)
    yield _front(
        title=name, type="note", permalink=f"memories/{name}", tags=memory.tags,
        id=str(memory.pk), state=memory.state, created=memory.created_at,
    )  # fmt: skip
    first, *rest = memory.text.splitlines() or [""]
    tags = "".join(f" #{_UNSAFE.sub('-', tag).strip('-')}" for tag in memory.tags)
    yield f"# {title_of(memory)}\n\n## Observations\n- [{memory.kind}] {first}{tags}\n"
    yield "".join(f"  {line}\n" for line in rest)
    links = MemoryLink.objects.filter(source=memory).select_related("target").order_by("pk")
    relations = "".join(f"- {link.relation} [[{_name(link.target)}]]\n" for link in links)
    if relations:
        yield f"\n## Relations\n{relations}"
