"""One letter, by the way of its channel's kind. Takes seconds: never inside a transaction."""

from config.lib import clock
from sessions.channels import shapes
from sessions.channels.http import post
from sessions.channels.mail import send_mail
from sessions.channels.shapes import Letter
from sessions.models.attention import ChannelKind


def send(letter: Letter) -> None:
    """Returns when the receiver has taken it. Raises SendFailed."""
    if letter.kind == ChannelKind.EMAIL:
        send_mail(letter)
        return
    if letter.kind == ChannelKind.WEBHOOK:
        posting = shapes.webhook(letter, at=clock.now())
    elif letter.kind == ChannelKind.NTFY:
        posting = shapes.ntfy(letter)
    elif letter.kind == ChannelKind.SLACK:
        posting = shapes.slack(letter)
    else:
        raise ValueError(f"nothing is sent to a channel of kind {letter.kind}")
    post(posting.url, body=posting.body, headers=posting.headers)
