"""Words of English, German and Spanish that ranking knows: they join others, or speak of time."""

import re

ASKS_WHEN = re.compile(
    r"\s*(when|what (time|day|date|year|month)|how long|how many (days|weeks|months|years)|wann|"
    r"seit wann|wie lange|cuándo|desde cuándo)\b",
    re.IGNORECASE,
)
TELLS_WHEN = re.compile(
    r"\b(yesterday|today|tomorrow|tonight|last|next|ago|week|weekend|month|year|morning|"
    r"(mon|tues|wednes|thurs|fri|satur|sun)day|january|february|march|april|june|july|august|"
    r"september|october|november|december|gestern|heute|morgen|woche|monat|jahr|ayer|hoy|mañana|"
    r"semana|mes|año|(19|20)\d\d)\b",
    re.IGNORECASE,
)
# Of two of these together nothing can be said.
FILLERS = frozenset(
    "the a an of to in on for is are was were did does do how what when where who which my i you "  # noqa: SIM905
    "and with about have has had der die das ein eine und in zu von mit ist war wie was wann wo "
    "wer el la los las un una y de en con es fue cómo qué cuándo dónde quién".split()
)
# Nor do these say what a query is about.
STOP = FILLERS | frozenset(
    "whom whose why would could should can will be been being from by at as it its their his her "  # noqa: SIM905
    "he she they them him we your our me us or not no any this that these those there "
    "den dem des für auf bei an im am sind waren hat haben wurde warum welche welcher welches "
    "ich "
    "du er sie es wir ihr mein dein unser nicht kein "
    "del al por para son era fueron ha han cual cuál porqué yo tú él ella nosotros mi tu su "
    "no".split()
)
