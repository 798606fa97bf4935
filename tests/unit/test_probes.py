"""Probes answer whoever asks: a container's own health check names no public host."""


def test_a_probe_is_answered_whatever_host_it_names(client, db, settings):
    settings.ALLOWED_HOSTS = ["memory.example"]
    settings.SECURE_SSL_REDIRECT = True
    for path in ("/livez", "/readyz"):
        assert client.get(path, headers={"host": "10.0.0.7:8000"}).status_code == 200
    assert client.get("/admin/", headers={"host": "10.0.0.7:8000"}).status_code == 400


def test_livez_asks_no_database(client, django_assert_num_queries, db):
    with django_assert_num_queries(0):
        assert client.get("/livez").json() == {"status": "ok"}
