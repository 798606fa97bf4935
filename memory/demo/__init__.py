"""A month of a small team's agents, told through the services: what a person sees who tries the
product, and what its pictures show.

The stories are texts in stories/*.toml; stories.py reads them, stage.py is the clock and the cast,
the other modules play one kind of row each, and seed.py puts it all on. Nothing here writes a row
by itself.
"""
