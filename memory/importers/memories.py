"""What belongs to a memory and lies in rows of its own: whom it is about, and what it rests on."""

from config.lib.db.models import SourcedRow
from config.lib.shorten import before_secret
from memory.importers.rows import Draft, Ref
from memory.models import Evidence, Memory, MemoryAbout
from memory.services.memories import content_hash

# Types of entities and notes, in lower case, that mean somebody one deals with.
PERSON_TYPES = frozenset(
    {
        "person", "people", "human", "user", "contact", "friend", "colleague", "coworker",
        "co-worker", "family", "family_member", "family member", "client", "customer", "employee",
        "manager", "teammate", "team_member", "team member",
    }
)  # fmt: skip
MAX_QUOTE = 20_000


def about(memory: str, name: str, model: type[SourcedRow], key: str) -> Draft:
    """A memory's being about a contact, project or task (`name`), both by the source's keys."""
    return Draft(
        MemoryAbout,
        "",
        {},
        refs={"memory": Ref(Memory, memory), name: Ref(model, key)},
        natural=(f"{name}_id", "memory_id"),
        needed=frozenset({"memory", name}),
    )


def evidence(memory: str, uri: str, quote: str) -> Draft:
    """What a memory of the source rests on. It is known by its memory: one that has evidence by
    now is given no other."""
    quote = before_secret(quote, MAX_QUOTE)
    return Draft(
        Evidence,
        "",
        {"uri": uri, "quote": quote, "quote_hash": content_hash(quote)},
        refs={"memory": Ref(Memory, memory)},
        natural=("memory_id",),
        needed=frozenset({"memory"}),
    )
