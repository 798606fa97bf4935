"""Which tables of Archon there are, and what of them is carried over."""

# Those that are carried over, with all their columns. Vectors are made anew: of them only whether
# there is one, and whether it is all zeros, is read.
TABLES: dict[str, tuple[str, ...]] = {
    "archon_projects": (
        "id", "title", "description", "docs", "features", "data", "github_repo", "pinned",
        "archived", "status", "created_at", "updated_at", "embedding",
    ),
    "archon_sources": (
        "source_id", "source_url", "source_display_name", "summary", "total_word_count", "title",
        "metadata", "created_at", "updated_at",
    ),
    "archon_project_sources": (
        "id", "project_id", "source_id", "linked_at", "created_by", "notes",
    ),
    "archon_tasks": (
        "id", "project_id", "parent_task_id", "title", "description", "status", "assignee",
        "task_order", "priority", "feature", "sources", "code_examples", "archived", "archived_at",
        "archived_by", "archived_reason", "created_at", "updated_at", "embedding",
    ),
    "archon_sessions": (
        "id", "agent", "project_id", "started_at", "ended_at", "summary", "context", "metadata",
        "created_at", "updated_at", "embedding",
    ),
    "archon_session_events": (
        "id", "session_id", "event_type", "event_data", "timestamp", "metadata", "embedding",
    ),
    "archon_document_versions": (
        "id", "project_id", "task_id", "field_name", "version_number", "content",
        "change_summary", "change_type", "document_id", "created_by", "created_at",
    ),
}  # fmt: skip
VECTORS = frozenset({"embedding"})
ZERO = "zero"
# By one of these an Archon is known.
TELLING = frozenset({"archon_projects", "archon_tasks", "archon_sessions"})
KEYS = {"archon_sources": "source_id"}
# What has no counterpart here, with why.
IGNORED = {
    "archon_settings": "settings of Archon itself; credentials are never carried over",
    "archon_migrations": "which migrations of its own schema Archon has run",
    "archon_prompts": "prompts of Archon's own document builders",
    "archon_crawled_pages": "copies of web pages, cut for its search; their sources are carried",
    "archon_page_metadata": "copies of web pages; their sources are carried",
    "archon_code_examples": "cut out of copies of web pages; their sources are carried",
}


def key_of(table: str) -> str:
    return KEYS.get(table, "id")
