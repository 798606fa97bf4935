"""Plays who is dealt with, and what agents want of people: contacts, pings, staged content,
handoffs."""

import uuid
from typing import Any

from contacts.services.addresses import Labelled
from contacts.services.contacts import create_contact, update_contact
from memory.demo.stage import Stage
from memory.demo.stories import Story
from sessions.services.handoffs import (
    accept_handoff,
    complete_handoff,
    create_handoff,
    fail_handoff,
    reject_handoff,
)
from sessions.services.pings import (
    acknowledge_ping,
    answer_ping,
    create_ping,
    mark_ping_seen,
    resolve_ping,
)
from sessions.services.staged_content import dismiss_staged, stage_content


def contact(stage: Stage, story: Story) -> None:
    """Emails and phones as `ada@example.com (work)`. `noted` is a list of [moment, notes, who]."""
    key, by, at = story.need("key"), story.need("by"), stage.moment(story.need("when"))
    last, noted = story.pop("last_contact", ""), story.pop("noted", [])
    fields = story.take(
        "name", "company", "role", "location", "description", "relationship", "notes", "pinned",
        "tags",
    )  # fmt: skip
    for name in ("emails", "phones"):
        fields[name] = [Labelled.read(one) for one in story.pop(name, [])]
    story.done()
    if last:
        fields["last_contact_at"] = stage.moment(last)
    stage.at(
        at,
        lambda: stage.keep(f"contact:{key}", create_contact(actor=stage.actor(by), fields=fields)),
    )
    for when, notes, who in noted:
        stage.at(
            stage.moment(when),
            lambda notes=notes, who=who: _note(stage, key, notes, who),  # type: ignore[misc]
        )


def _note(stage: Stage, key: str, notes: str, who: str) -> None:
    contact_id = stage.row(f"contact:{key}").id
    update_contact(actor=stage.actor(who), contact_id=contact_id, changes={"notes": notes})


def ping(stage: Stage, story: Story) -> None:
    """`seen` and `acknowledged` are moments, `answer` is [moment, text, who], `resolved` [moment,
    who]."""
    by, at = story.need("by"), stage.moment(story.need("when"))
    session, expires = story.pop("session", ""), story.pop("expires", "")
    seen, acknowledged = story.pop("seen", ""), story.pop("acknowledged", [])
    answer, resolved = story.pop("answer", []), story.pop("resolved", [])
    fields = story.take("message", "severity", "options")
    story.done()
    made: list[uuid.UUID] = []

    def ask() -> None:
        row, _ = create_ping(
            actor=stage.actor(by),
            session_id=stage.id_of("session", session),
            expires_at=stage.moment(expires) if expires else None,
            **fields,
        )
        made.append(row.id)

    stage.at(at, ask)
    if seen:
        stage.at(stage.moment(seen), lambda: mark_ping_seen(ping_id=made[0]))
    if acknowledged:
        when, who = acknowledged
        stage.at(
            stage.moment(when),
            lambda: acknowledge_ping(actor=stage.actor(who), ping_id=made[0]),
        )
    if answer:
        when, text, person = answer
        stage.at(
            stage.moment(when),
            lambda: answer_ping(actor=stage.actor(person), ping_id=made[0], answer=text),
        )
    if resolved:
        when, settler = resolved
        stage.at(
            stage.moment(when),
            lambda: resolve_ping(actor=stage.actor(settler), ping_id=made[0]),
        )


def staged(stage: Stage, story: Story) -> None:
    by, at = story.need("by"), stage.moment(story.need("when"))
    session, expires = story.pop("session", ""), story.pop("expires", "")
    dismissed = story.pop("dismissed", [])
    fields = story.take("content_type", "title", "body", "payload", "pinned")
    story.done()
    made: list[uuid.UUID] = []

    def put() -> None:
        row, _ = stage_content(
            actor=stage.actor(by),
            session_id=stage.id_of("session", session),
            expires_at=stage.moment(expires) if expires else None,
            **fields,
        )
        made.append(row.id)

    stage.at(at, put)
    if dismissed:
        when, who, reason = dismissed
        stage.at(
            stage.moment(when),
            lambda: dismiss_staged(actor=stage.actor(who), staged_id=made[0], reason=reason),
        )


def handoff(stage: Stage, story: Story) -> None:
    """`accepted` is [moment, who, session], `settled` [moment, who, how, why]."""
    by, at = story.need("by"), stage.moment(story.need("when"))
    session, to_agent = story.need("session"), story.pop("to_agent", "")
    accepted, settled = story.pop("accepted", []), story.pop("settled", [])
    fields = story.take("role", "reason", "content", "mode")
    story.done()
    made: list[uuid.UUID] = []

    def leave() -> None:
        row, _ = create_handoff(
            actor=stage.actor(by),
            from_session_id=stage.row(f"session:{session}").id,
            to_agent_id=stage.agent(to_agent).id if to_agent else None,
            **fields,
        )
        made.append(row.id)

    stage.at(at, leave)
    if accepted:
        when, who, into = accepted
        stage.at(
            stage.moment(when),
            lambda: accept_handoff(
                actor=stage.actor(who), handoff_id=made[0],
                session_id=stage.row(f"session:{into}").id,
            ),
        )  # fmt: skip
    if settled:
        when, settler, how, why = settled
        stage.at(stage.moment(when), lambda: _settle(stage, made[0], settler, how, why))


def _settle(stage: Stage, handoff_id: uuid.UUID, who: str, how: str, why: str) -> None:
    said: dict[str, Any] = {"actor": stage.actor(who), "handoff_id": handoff_id}
    if how == "completed":
        complete_handoff(**said)
    elif how == "rejected":
        reject_handoff(**said, error=why)
    else:
        fail_handoff(**said, error=why)
