"""What can be learned of a session without a language model: rules over what its people said
(rules.py) and over what its tools did (lessons.py). Pure functions, no rows.

Not for reading and writing rows (services/learning.py), or for a model's proposals (services/
proposals.py).
"""
