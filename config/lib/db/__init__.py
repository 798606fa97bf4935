"""Row base classes, the scoped foreign key and the migration operations that make them real."""
