"""Contacts in the admin: the form with its addresses, duplicates, merging, files, what is known."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from config.lib.scope import workspace_scope
from contacts.models import Contact, Revision, Tag
from contacts.services.addresses import Labelled
from contacts.services.contacts import create_contact, part_values, update_contact
from contacts.services.merges import merge_contacts
from memory.services.about import About
from memory.services.memories import NewMemory, create_memory
from tests.admin.pages import MAX_QUERIES, form_of, queries_of, url
from tests.factories import ALICE


def make(workspace, name="Ada Lovelace", **fields):
    with workspace_scope(workspace.id):
        fields = {
            "name": name,
            "emails": [Labelled("ada@example.com", "work")],
            "phones": [Labelled("+41446681800")],
            "tags": ["client"],
            **fields,
        }
        return create_contact(actor=ALICE, fields=fields)


def now(workspace, contact):
    with workspace_scope(workspace.id):
        row = Contact.objects.get(pk=contact.pk)
        return row, part_values(row)


def page(client, name, *args, **query):
    response = client.get(reverse(f"admin:contacts_contact_{name}", args=args), query)
    assert response.status_code == 200
    return response.content.decode()


def test_a_contact_is_made_with_its_addresses(otto, workspace):
    address = url(Contact, "add")
    data = form_of(otto, address)
    data |= {
        "name": "Ada  Lovelace", "emails": "Ada@Example.com (work)\r\nada@home.example",
        "phones": "+41 44 668 18 00 (cell)", "tags": "Client\r\nvip",
    }  # fmt: skip
    assert otto.post(address, data).status_code == 302
    with workspace_scope(workspace.id):
        row = Contact.objects.get()
        assert (row.name, row.sort_name) == ("Ada Lovelace", "ada lovelace")
        assert part_values(row) == {
            "emails": ["ada@example.com (work)", "ada@home.example"],
            "phones": ["+41446681800 (cell)"],
            "tags": ["client", "vip"],
        }


def test_saving_a_page_untouched_writes_nothing(otto, workspace):
    contact = make(workspace, notes="line\nline", phones=[Labelled("+41446681800", "work ext. 1")])
    address = url(Contact, "change", contact.pk)
    assert otto.post(address, form_of(otto, address)).status_code == 302
    row, _ = now(workspace, contact)
    assert row.version == 1
    with workspace_scope(workspace.id):
        assert Revision.objects.filter(object_id=contact.pk).count() == 1


def test_only_addresses_change(otto, workspace):
    contact = make(workspace)
    address = url(Contact, "change", contact.pk)
    data = form_of(otto, address) | {"emails": "new@example.com", "tags": "", "_reason": "moved"}
    assert otto.post(address, data).status_code == 302
    row, parts = now(workspace, contact)
    assert row.version == 2
    assert parts == {"emails": ["new@example.com"], "phones": ["+41446681800"], "tags": []}
    history = otto.get(url(Contact, "history", contact.pk)).content.decode()
    assert "Emails" in history
    assert "Tags" in history
    assert "moved" in history


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("emails", "ada@example.com\nnobody", "is not an email address"),
        ("phones", "044 668 18 00", "has no country code"),
        ("tags", "a,b", "comma or semicolon"),
    ],
)
def test_what_cannot_be_kept_is_said_at_its_field(otto, workspace, field, value, said):
    contact = make(workspace)
    address = url(Contact, "change", contact.pk)
    response = otto.post(address, form_of(otto, address) | {field: value})
    assert response.status_code == 200
    assert said in response.content.decode()
    assert now(workspace, contact)[0].version == 1


def test_a_stale_page_is_refused_with_the_addresses_in_question(otto, workspace):
    contact = make(workspace)
    address = url(Contact, "change", contact.pk)
    data = form_of(otto, address) | {"emails": "mine@example.com", "tags": "mine"}
    with workspace_scope(workspace.id):
        update_contact(
            actor=ALICE,
            contact_id=contact.pk,
            changes={"emails": [Labelled("theirs@example.com")], "tags": ["theirs"]},
        )
    response = otto.post(address, data)
    assert response.status_code == 409
    text = response.content.decode()
    for word in ("ada@example.com (work)", "theirs@example.com", "mine@example.com"):
        assert word in text
    assert now(workspace, contact)[1]["emails"] == ["theirs@example.com"]


def test_a_viewer_sees_addresses_and_may_change_nothing(vera, workspace):
    contact, other = make(workspace), make(workspace, "Other")
    text = vera.get(url(Contact, "change", contact.pk)).content.decode()
    assert "ada@example.com (work)" in text
    assert "+41446681800" in text
    assert vera.post(url(Contact, "change", contact.pk), {"name": "x"}).status_code == 403
    merge = reverse("admin:contacts_contact_merge", args=[contact.pk])
    for response in (
        vera.get(merge),
        vera.post(merge, {"source": str(other.pk)}),
        vera.get(reverse("admin:contacts_contact_import")),
    ):
        assert response.status_code == 403
    assert "Merge into" not in page(vera, "duplicates")
    assert now(workspace, other)[0].merged_into_id is None


def test_the_list_shows_addresses_and_is_searched_and_filtered_by_tag(alice, workspace):
    make(workspace)
    make(workspace, "Bob", emails=[Labelled("bob@example.com")], phones=[], tags=["vip"])
    text = alice.get(url(Contact, "changelist")).content.decode()
    for word in ("ada@example.com", "+41446681800", "client", "Bob"):
        assert word in text
    for query in ({"q": "bob@"}, {"q": "Bob"}):
        found = alice.get(url(Contact, "changelist"), query).content.decode()
        assert "bob@example.com" in found
        assert "ada@example.com" not in found
    with workspace_scope(workspace.id):
        tag = Tag.objects.get(name="vip")
    tags = alice.get(url(Tag, "changelist")).content.decode()
    address = f"{url(Contact, 'changelist')}?contact_tags__tag__id__exact={tag.pk}"
    assert address in tags.replace("&amp;", "&")
    found = alice.get(address).content.decode()
    assert "bob@example.com" in found
    assert "ada@example.com" not in found


def test_more_contacts_cost_no_more_queries(alice, workspace):
    make(workspace)
    address = url(Contact, "changelist")
    alice.get(address)
    few = len(queries_of(alice, address))
    for n in range(8):
        make(workspace, f"Contact {n}")
    assert len(queries_of(alice, address)) == few <= MAX_QUERIES


def test_a_tag_is_renamed_and_deleted_everywhere(otto, workspace):
    contact = make(workspace)
    with workspace_scope(workspace.id):
        tag = Tag.objects.get()
    address = url(Tag, "change", tag.pk)
    stale = form_of(otto, address)
    assert otto.post(address, stale | {"name": "Customer"}).status_code == 302
    refused = otto.post(address, stale | {"name": "Buyer"}).content.decode()
    assert "renamed &#x27;client&#x27; to &#x27;customer&#x27;" in refused
    assert "Buyer" in refused
    assert now(workspace, contact)[1]["tags"] == ["customer"]
    assert otto.post(url(Tag, "delete", tag.pk), {"post": "yes"}).status_code == 302
    assert now(workspace, contact)[1]["tags"] == []


def test_duplicates_are_merged_with_a_look_before_and_undone(otto, workspace):
    ada = make(workspace)
    other = make(workspace, "Countess", company="Engines", tags=["royal"], notes="Of Lovelace.")
    text = page(otto, "duplicates")
    assert "same email: ada@example.com" in text
    merge = reverse("admin:contacts_contact_merge", args=[ada.pk])
    assert f"{merge}?source={other.pk}" in text
    preview = otto.get(merge, {"source": str(other.pk)}).content.decode()
    for word in ("Engines", "client, royal", "Of Lovelace."):
        assert word in preview
    assert now(workspace, ada)[0].version == 1, "a look writes nothing"
    data = form_of(otto, f"{merge}?source={other.pk}") | {"_reason": "the same"}
    assert otto.post(merge, data).status_code == 302
    row, parts = now(workspace, ada)
    assert (row.company, parts["tags"]) == ("Engines", ["client", "royal"])
    merged = otto.get(url(Contact, "change", other.pk)).content.decode()
    assert "Undo the merge" in merged
    assert "Merged into" in merged
    assert str(ada.pk) in merged
    assert "Countess" not in otto.get(url(Contact, "changelist")).content.decode()
    undo = reverse("admin:contacts_contact_do", args=[other.pk, "unmerge"])
    assert otto.post(undo).status_code == 302
    row, parts = now(workspace, ada)
    assert (row.company, parts["tags"]) == ("", ["client"])
    assert now(workspace, other)[1]["tags"] == ["royal"]


def test_what_could_not_be_read_is_taken_out_by_a_button(otto, rita, workspace):
    contact = make(workspace, unreadable={"phones": ["044 668 18 00"]})
    plain = make(workspace, "Byron")
    button = "Take out what could not be read"
    text = otto.get(url(Contact, "change", plain.pk)).content.decode()
    assert not any(words in text for words in (button, "Could not be read", "Merged into"))
    text = otto.get(url(Contact, "change", contact.pk)).content.decode()
    assert button in text
    assert "Could not be read" in text
    assert "044 668 18 00" in text
    do = reverse("admin:contacts_contact_do", args=[contact.pk, "dismiss-unreadable"])
    assert rita.post(do).status_code == 403
    assert otto.post(do, {"_reason": "an old one"}).status_code == 302
    row, parts = now(workspace, contact)
    assert (row.unreadable, parts["phones"]) == ({}, ["+41446681800"])
    after = otto.post(do, follow=True).content.decode()
    assert "Nothing was done" in after


def test_a_merge_of_what_was_changed_meanwhile_is_refused(otto, workspace):
    ada, other = make(workspace), make(workspace, "Countess")
    merge = reverse("admin:contacts_contact_merge", args=[ada.pk])
    data = form_of(otto, f"{merge}?source={other.pk}")
    with workspace_scope(workspace.id):
        update_contact(actor=ALICE, contact_id=other.pk, changes={"notes": "new"})
    response = otto.post(merge, data, follow=True)
    assert "was changed in between" in response.content.decode()
    assert now(workspace, other)[0].merged_into_id is None


def test_an_undo_that_cannot_be_says_why(otto, workspace):
    ada, other = make(workspace), make(workspace, "Countess", notes="Of Lovelace.")
    with workspace_scope(workspace.id):
        merge_contacts(actor=ALICE, target_id=ada.pk, source_id=other.pk)
        update_contact(actor=ALICE, contact_id=ada.pk, changes={"notes": "Rewritten."})
    undo = reverse("admin:contacts_contact_do", args=[other.pk, "unmerge"])
    text = otto.post(undo, follow=True).content.decode()
    assert "Changed in Ada Lovelace since the merge: notes" in text


def test_whom_to_merge_is_looked_up(otto, workspace):
    ada, other = make(workspace), make(workspace, "Byron")
    text = page(otto, "merge", ada.pk, q="byr")
    assert f"?source={other.pk}" in text
    assert "Nobody is called so" in page(otto, "merge", ada.pk, q="zzz")
    merge = reverse("admin:contacts_contact_merge", args=[ada.pk])
    assert otto.get(merge, {"source": "nonsense"}).status_code == 404
    itself = otto.get(merge, {"source": str(ada.pk)}, follow=True).content.decode()
    assert "cannot be merged into itself" in itself


CARDS = "BEGIN:VCARD\nVERSION:3.0\nFN:{0}\nEMAIL:{0}@example.com\nEND:VCARD\n"


def test_files_are_imported_after_a_preview(otto, workspace):
    address = reverse("admin:contacts_contact_import")
    bob = CARDS.format("bob").replace("bob@", "bob at ")
    text = CARDS.format("ada") + bob.replace("END", f"ORG:{'<i>' * 101}\nEND")
    preview = otto.post(address, {"text": text, "preview": "on"}).content.decode()
    assert "This would happen" in preview
    assert "2 created" in preview
    assert "1 email or number could not be read" in preview
    assert "emails[0].email: is not an email address" in preview
    assert "1 text, label or tag of more than a contact keeps" in preview
    assert "company: has 303 characters; at most 300 are kept" in preview
    assert "<i>" not in preview
    with workspace_scope(workspace.id):
        assert not Contact.objects.exists()
    file = SimpleUploadedFile("contacts.vcf", text.encode())
    assert "Imported" in otto.post(address, {"file": file}).content.decode()
    sheet = SimpleUploadedFile("contacts.csv", "Name;City\nÅsa;Malmö\n".encode("windows-1252"))
    assert "1 created" in otto.post(address, {"file": sheet}).content.decode()
    with workspace_scope(workspace.id):
        assert list(Contact.objects.order_by("name").values_list("name", "location")) == [
            ("ada", ""),
            ("bob", ""),
            ("Åsa", "Malmö"),
        ]
        bob = Contact.objects.get(name="bob")
    assert "bob at example.com" in otto.get(url(Contact, "change", bob.pk)).content.decode()
    assert "Choose a file" in otto.post(address, {}).content.decode()
    broken = otto.post(address, {"text": "colour\nred\n"}).content.decode()
    assert "names none of" in broken


def test_contacts_are_exported(vera, workspace, other_workspace):
    contact = make(workspace)
    make(other_workspace, "Charlie")
    for name, begin in (
        ("vcard3", "BEGIN:VCARD\r\nVERSION:3.0"),
        ("vcard4", "BEGIN:VCARD\r\nVERSION:4.0"),
        ("csv", "\ufeffid,name"),
    ):
        response = vera.get(reverse("admin:contacts_contact_export", args=[name]))
        text = b"".join(response.streaming_content).decode()
        assert text.startswith(begin)
        assert "Ada Lovelace" in text
        assert "Charlie" not in text
    assert vera.get(reverse("admin:contacts_contact_export", args=["xml"])).status_code == 404
    card = vera.get(reverse("admin:contacts_contact_card", args=[contact.pk]))
    assert b"FN:Ada Lovelace" in card.content


def test_what_is_known_is_on_the_contacts_page_and_bounded(alice, workspace):
    contact = make(workspace)
    with workspace_scope(workspace.id):
        for n in range(55):
            about = [About(contact_id=contact.pk)]
            create_memory(actor=ALICE, new=NewMemory(text=f"She said {n:02}.", about=about))
    address = url(Contact, "change", contact.pk)
    text = alice.get(address).content.decode()
    assert "She said 54." in text
    assert "She said 05." in text
    assert "She said 04." not in text
    assert len(queries_of(alice, address)) <= MAX_QUERIES
    data = form_of(alice, address) | {"company": "Engines"}
    assert alice.post(address, data).status_code == 302
    assert now(workspace, contact)[0].company == "Engines"


def test_hostile_text_is_shown_as_text(alice, workspace):
    evil = "<script>alert(1)</script>"
    contact = make(workspace, evil, company=evil, notes=evil, tags=[evil])
    make(workspace, f"{evil} too", tags=[evil])
    with workspace_scope(workspace.id):
        other = Contact.objects.exclude(pk=contact.pk).get()
    merge = reverse("admin:contacts_contact_merge", args=[other.pk])
    for address in (
        url(Contact, "changelist"),
        url(Contact, "change", contact.pk),
        reverse("admin:contacts_contact_duplicates"),
        f"{merge}?source={contact.pk}",
        f"{merge}?q=%3Cscript",
        url(Tag, "changelist"),
    ):
        text = alice.get(address).content.decode()
        assert "&lt;script&gt;alert(1)" in text, address
        assert evil not in text, address
