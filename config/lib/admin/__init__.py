"""The admin's model-free helpers: how values look."""
