"""Probes answer whoever asks: a container's own health check names no public host."""

import socket
from types import SimpleNamespace

import pytest
from gunicorn.http.unreader import SocketUnreader


def test_a_probe_is_answered_whatever_host_it_names(client, db, settings):
    settings.ALLOWED_HOSTS = ["memory.example"]
    settings.SECURE_SSL_REDIRECT = True
    for path in ("/livez", "/readyz"):
        assert client.get(path, headers={"host": "10.0.0.7:8000"}).status_code == 200
    assert client.get("/admin/", headers={"host": "10.0.0.7:8000"}).status_code == 400


def test_livez_asks_no_database(client, django_assert_num_queries, db):
    with django_assert_num_queries(0):
        assert client.get("/livez").json() == {"status": "ok"}


def test_a_client_that_stops_in_a_body_keeps_no_thread(monkeypatch):
    monkeypatch.setenv("REMEMBRANCER_DATABASE_POOL", "0")  # its import gives one
    from config import gunicorn

    monkeypatch.setattr(gunicorn, "STALL_SECONDS", 0.01)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"half of a")
        request = SimpleNamespace(unreader=SocketUnreader(ours))
        gunicorn.pre_request(None, request)
        assert request.unreader.read() == b"half of a"
        with pytest.raises(TimeoutError):
            request.unreader.read()
