"""What the search index must do when rows are written. See memory/services/passages.py."""


def register() -> None:
    """Filled with the index's handlers."""
