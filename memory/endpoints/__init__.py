"""Talking to the servers that an operator configures: models that embed, models that summarise.

calls.py sends, answers.py reads what every such server answers. What a request and a good answer
look like is each protocol's own (embedding/, summaries/).
"""
