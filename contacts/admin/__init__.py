"""The admin's pages about people and agents, and the base of all admin pages (base.py)."""

from contacts.admin import agents, contacts, revisions, tags, users, workspaces

__all__ = ["agents", "contacts", "revisions", "tags", "users", "workspaces"]
