"""A length of time in words, for people."""

from datetime import timedelta

MINUTE, HOUR, DAY = 60, 3600, 86_400


def span(length: timedelta) -> str:
    """`2 h 5 min`: the two largest units."""
    seconds = int(length.total_seconds())
    if seconds < MINUTE:
        return f"{max(seconds, 0)} s"
    if seconds < HOUR:
        return f"{seconds // MINUTE} min"
    if seconds < DAY:
        rest = seconds % HOUR // MINUTE
        return f"{seconds // HOUR} h {rest} min" if rest else f"{seconds // HOUR} h"
    rest = seconds % DAY // HOUR
    return f"{seconds // DAY} d {rest} h" if rest else f"{seconds // DAY} d"
