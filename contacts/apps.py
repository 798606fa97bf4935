from django.apps import AppConfig


class ContactsConfig(AppConfig):
    name = "contacts"
    verbose_name = "People and agents"

    def ready(self) -> None:
        from config.lib.redact import find_extra_by
        from contacts.services import redaction, ways

        ways.register()
        find_extra_by(redaction.extra_of)
