from contacts.models.agent import Agent, ApiKey
from contacts.models.idempotency import IdempotencyKey
from contacts.models.revision import Revision
from contacts.models.workspace import Invitation, Membership, Workspace

__all__ = ["Agent", "ApiKey", "IdempotencyKey", "Invitation", "Membership", "Revision", "Workspace"]
