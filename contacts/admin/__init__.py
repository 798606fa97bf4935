"""The admin's pages about people and agents, and the base of all admin pages (base.py)."""

from contacts.admin import agents, bulk_runs, contacts, revisions, tags, users, workspaces

__all__ = ["agents", "bulk_runs", "contacts", "revisions", "tags", "users", "workspaces"]
