"""People: contacts with their addresses, numbers and tags."""

from django.db import models

from config.lib.db.fields import ScopedForeignKey
from config.lib.db.models import SourcedRow, WorkspaceRow, unique_external_id


class Contact(SourcedRow):
    """A person or an organisation that agents deal with.

    `sort_name` is the name casefolded with white space folded: lists are ordered and names
    compared by it. `vcard_uid` is the UID of the card it came from, never rewritten, and `vcard`
    that card as it was read. `unreadable` is {emails, phones}: texts of its card, or of its line of
    a sheet, that stood for one and are none; an import that can read them takes them out of it.
    `dismissed` is what a person took out of it, which imports and exports pass over. A contact that
    was merged into another keeps its row, so that the merge can be undone; `merged_into` names the
    other one, and lists leave it out.
    """

    name = models.CharField(max_length=300)
    sort_name = models.CharField(max_length=300, editable=False)
    company = models.CharField(max_length=300, blank=True)
    role = models.CharField(max_length=200, blank=True)
    location = models.CharField(max_length=300, blank=True)
    description = models.TextField(blank=True, max_length=100_000)
    relationship = models.CharField(max_length=200, blank=True)
    notes = models.TextField(blank=True, max_length=100_000)
    last_contact_at = models.DateTimeField(null=True, blank=True)
    pinned = models.BooleanField(default=False)
    vcard_uid = models.CharField(max_length=300, blank=True)
    vcard = models.TextField(blank=True, max_length=1_000_000)
    unreadable = models.JSONField(default=dict, blank=True, editable=False)
    dismissed = models.JSONField(default=dict, blank=True, editable=False)
    merged_into = ScopedForeignKey(
        "self", null=True, blank=True, related_name="merged_from", editable=False
    )

    class Meta(SourcedRow.Meta):
        constraints = [
            unique_external_id("contact_external_id_unique"),
            # a card read again updates the contact it made
            models.UniqueConstraint(
                fields=["workspace", "vcard_uid"],
                condition=~models.Q(vcard_uid=""),
                name="contact_vcard_uid_unique",
            ),
        ]
        indexes = [
            # the list, by name; also contacts of the same name
            models.Index(
                fields=["workspace", "sort_name", "id"],
                condition=models.Q(merged_into=None),
                name="contact_list",
            ),
            # the pinned ones, by name
            models.Index(
                fields=["workspace", "sort_name", "id"],
                condition=models.Q(merged_into=None, pinned=True),
                name="contact_pinned",
            ),
            # of one company, by name
            models.Index(
                fields=["workspace", "company", "sort_name", "id"],
                condition=models.Q(merged_into=None),
                name="contact_company",
            ),
            # who was spoken to last
            models.Index(
                fields=["workspace", "-last_contact_at", "-id"],
                condition=models.Q(merged_into=None, last_contact_at__isnull=False),
                name="contact_last_contact",
            ),
            # what was merged into a contact, and nulling it when that goes
            models.Index(
                fields=["workspace", "merged_into"],
                condition=models.Q(merged_into__isnull=False),
                name="contact_merged_into",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ContactEmail(WorkspaceRow):
    """`email` is casefolded. `label` is what the card or the person calls it (work, home)."""

    contact = ScopedForeignKey(Contact, cascade=True, related_name="emails")
    email = models.CharField(max_length=320)
    label = models.CharField(max_length=60, blank=True)
    position = models.PositiveSmallIntegerField(default=0)

    class Meta(WorkspaceRow.Meta):
        constraints = [
            # a contact's addresses, and the cascade from it
            models.UniqueConstraint(
                fields=["workspace", "contact", "email"], name="contactemail_unique"
            ),
        ]
        indexes = [
            # whose address it is
            models.Index(fields=["workspace", "email"], name="contactemail_email"),
        ]

    def __str__(self) -> str:
        return self.email


class ContactPhone(WorkspaceRow):
    """`number` is E.164 (+41446681800)."""

    contact = ScopedForeignKey(Contact, cascade=True, related_name="phones")
    number = models.CharField(max_length=20)
    label = models.CharField(max_length=60, blank=True)
    position = models.PositiveSmallIntegerField(default=0)

    class Meta(WorkspaceRow.Meta):
        constraints = [
            # a contact's numbers, and the cascade from it
            models.UniqueConstraint(
                fields=["workspace", "contact", "number"], name="contactphone_unique"
            ),
        ]
        indexes = [
            # whose number it is
            models.Index(fields=["workspace", "number"], name="contactphone_number"),
        ]

    def __str__(self) -> str:
        return self.number


class Tag(WorkspaceRow):
    """A word that contacts are grouped by (claude_direct, client)."""

    name = models.CharField(max_length=100)

    class Meta(WorkspaceRow.Meta):
        constraints = [
            models.UniqueConstraint(fields=["workspace", "name"], name="tag_name_unique"),
        ]

    def __str__(self) -> str:
        return self.name


class ContactTag(WorkspaceRow):
    """One contact's having one tag."""

    contact = ScopedForeignKey(Contact, cascade=True, related_name="contact_tags")
    tag = ScopedForeignKey(Tag, cascade=True, related_name="contact_tags")

    class Meta(WorkspaceRow.Meta):
        constraints = [
            # a contact's tags, and the cascade from it
            models.UniqueConstraint(
                fields=["workspace", "contact", "tag"], name="contacttag_unique"
            ),
        ]
        indexes = [
            # who has a tag, and the cascade from it
            models.Index(fields=["workspace", "tag", "contact"], name="contacttag_tag"),
        ]

    def __str__(self) -> str:
        return str(self.tag_id)
