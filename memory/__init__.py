"""What is known: memories with their sources, and the search index over everything that has text."""
