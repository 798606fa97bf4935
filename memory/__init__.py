"""What is known: memories with their sources, and the search index over all that has text."""
