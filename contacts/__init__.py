"""Who: workspaces, their members, agents and keys, and the record of who changed what."""
