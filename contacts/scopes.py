"""What an API key may do. Every operation of the API names the one scope it asks for."""

SCOPES: dict[str, str] = {
    "sessions:read": "Read sessions, events, threads and messages.",
    "sessions:write": "Create and change sessions, append events and messages.",
    "hooks:write": "Report what an agent does: hooks and transcripts.",
    "memories:read": "Read memories, their links and evidence.",
    "memories:write": "Save, change and delete memories.",
    "work:read": "Read tasks, workers, missions and priorities.",
    "work:write": "Create, claim, run and change tasks, workers, missions and priorities.",
    "attention:read": "Read pings, notifications, staged content and handoffs.",
    "attention:write": "Ping people, acknowledge notifications, stage content, hand work over.",
    "contacts:read": "Read contacts and what is known of them.",
    "contacts:write": "Create, change, import and merge contacts.",
    "channels:write": "Set up where pings go: e-mail, webhooks, the browser.",
    "search": "Search everything in the workspace.",
    "stats:read": "Read counts and the state of the index.",
    "agents:read": "List agents.",
    "agents:write": "Create and change agents.",
    "keys:read": "List API keys, without their secrets.",
    "keys:write": "Create and revoke API keys.",
    "workspace:write": "Change the workspace and invite people.",
    "erase": "Remove things for good with every trace, and take back what somebody wrote.",
}

# What an agent needs for its own work. A key that can make keys is asked for by name.
AGENT_SCOPES = [
    "sessions:read",
    "sessions:write",
    "hooks:write",
    "memories:read",
    "memories:write",
    "work:read",
    "work:write",
    "attention:read",
    "attention:write",
    "contacts:read",
    "contacts:write",
    "search",
    "stats:read",
    "agents:read",
]
