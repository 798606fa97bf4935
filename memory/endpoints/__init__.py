"""Talking to the servers that an operator configures: models that embed, models that summarise
and that propose memories.

calls.py sends, answers.py reads what every such server answers. chat.py asks a
language model for one JSON object. What a request and a good answer hold is each purpose's own
(embedding/, summaries/, learning/).
"""
