"""The admin's pages about people and agents, and the base of all admin pages (base.py)."""

from contacts.admin import agents, revisions, users, workspaces

__all__ = ["agents", "revisions", "users", "workspaces"]
