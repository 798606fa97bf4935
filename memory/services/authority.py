"""What an agent may not do to a memory, whichever service is asked."""

from config.lib.actor import Actor
from config.lib.errors import Forbidden
from contacts.models import Revision
from memory.models import Memory
from memory.models.memory import Trust

_ORDER = list(Trust)


def is_agent(actor: Actor) -> bool:
    return actor.kind not in ("user", "system", "import")


def check_authority(actor: Actor, memory: Memory) -> None:
    """What a person vouches for, an agent neither rewrites nor removes: the trust would lie."""
    if is_agent(actor) and memory.trust in (Trust.OPERATOR, Trust.VERIFIED):
        raise Forbidden(
            f"A person gave this memory the trust {memory.trust}; an agent cannot change or delete "
            "it. Save a new memory that contradicts or supports it.",
            code="trusted_by_person",
        )


def check_replacing(actor: Actor, new: Memory, old: Memory) -> None:
    """What is trusted less replaces nothing by an agent's word: whoever gets a line into a
    transcript could else have it stand for what is known."""
    check_authority(actor, old)
    if is_agent(actor) and is_less(new.trust, old.trust):
        raise Forbidden(
            f"A memory of trust {new.trust} does not supersede one of trust {old.trust}; "
            "a person can say so, in the admin.",
            code="trust_ceiling",
        )


def check_release(actor: Actor, memory: Memory) -> None:
    """Before a memory that is archived or superseded is in use or waits again. An agent may bring
    back what an agent has put away, or what expired, not what a person rejected or decided, nor
    what was taken back or told as a narrative. Index revision_object."""
    if not is_agent(actor):
        return
    put_away = (
        Revision.objects.filter(object_id=memory.pk, after__state=memory.state)
        .order_by("-id")
        .first()
    )
    if put_away is not None and put_away.action == "expire":
        return
    by_agent = put_away is not None and put_away.actor_kind == "key"
    if not by_agent or put_away.action in ("unlearn", "consolidate"):
        raise Forbidden(
            "This memory was taken out of use by a person or for a reason that stands; an agent "
            "cannot bring it back. Save a new one.",
            code="put_away",
        )


def check_restoring(actor: Actor, memory: Memory, deletion: Revision) -> None:
    """Before a deleted memory is brought back. What a person vouched for or deleted, a person
    brings back: an agent could else have what was found wrong stand with a person's trust."""
    if is_agent(actor) and deletion.actor_kind == "user":
        raise Forbidden(
            "A person deleted this memory; an agent cannot bring it back.", code="deleted_by_person"
        )
    check_authority(actor, memory)


def is_less(trust: str, than: str) -> bool:
    return _ORDER.index(Trust(trust)) > _ORDER.index(Trust(than))


def least(trusts: list[str]) -> Trust:
    """Of what rests on several, as far as on the worst of them. At least one is given."""
    return max((Trust(one) for one in trusts), key=_ORDER.index)
