from django.apps import AppConfig


class ContactsConfig(AppConfig):
    name = "contacts"
    verbose_name = "People and agents"

    def ready(self) -> None:
        from contacts.services import ways

        ways.register()
