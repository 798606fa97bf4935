"""Removing something for good, with every trace of it.

going.py says which rows go, sweep.py finds their words in all others, work.py carries it out.
memory/services/erasures.py is what the API, the admin and the shell call.
"""
