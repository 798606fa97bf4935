"""A ping as an e-mail, through the mail server of the environment (EMAIL_URL)."""

import smtplib
from email.utils import parseaddr

from django.conf import settings
from django.core.mail import EmailMessage

from sessions.channels.failure import SendFailed
from sessions.channels.shapes import Letter, mail_text


def send_mail(letter: Letter) -> None:
    """Hand it to the mail server. Raises SendFailed.

    The subject is one printable line and the address was checked, so nothing stored becomes a
    header; Django refuses a line end in one besides. The Message-ID is the delivery's, so that a
    mail that is sent again after a lost answer can be told as the same.
    """
    if not settings.EMAIL_HOST:
        raise SendFailed("No mail server is known: EMAIL_URL is not set.", final=True)
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2]
    message = EmailMessage(
        subject=f"[{letter.severity}] {letter.title}",
        body=mail_text(letter),
        to=[letter.target],
        headers={
            "Message-ID": f"<{letter.delivery_id}@{domain}>",
            "Auto-Submitted": "auto-generated",
        },
    )
    try:
        message.send()
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        raise SendFailed(
            f"The mail server refused the address ({codes[0]}).",
            final=all(_permanent(code) for code in codes),
        ) from None
    except smtplib.SMTPResponseException as error:
        raise SendFailed(
            f"The mail server answered {error.smtp_code}.", final=_permanent(error.smtp_code)
        ) from None
    except TimeoutError:
        raise SendFailed("The mail server did not answer in time.") from None
    except (smtplib.SMTPException, OSError) as error:
        raise SendFailed(f"The mail server cannot be used ({type(error).__name__}).") from None


def _permanent(code: int) -> bool:
    """RFC 5321, 4.2.1: 5yz will not mend by itself."""
    return code >= 500
