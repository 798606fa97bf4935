from contacts.models.agent import Agent, ApiKey
from contacts.models.bulk import BulkRun
from contacts.models.contact import Contact, ContactEmail, ContactPhone, ContactTag, Tag
from contacts.models.erasure import Erasure, Tombstone
from contacts.models.idempotency import IdempotencyKey
from contacts.models.revision import Revision, RevisionSeal
from contacts.models.usage import StorageCount, UsageDay
from contacts.models.workspace import Invitation, Membership, Workspace

__all__ = [
    "Agent",
    "ApiKey",
    "BulkRun",
    "Contact",
    "ContactEmail",
    "ContactPhone",
    "ContactTag",
    "Erasure",
    "IdempotencyKey",
    "Invitation",
    "Membership",
    "Revision",
    "RevisionSeal",
    "StorageCount",
    "Tag",
    "Tombstone",
    "UsageDay",
    "Workspace",
]
