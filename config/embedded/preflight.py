"""What is looked at before anything is started: the data directory's lock, the port.

Each refusal is one line that names the thing and says what to do.
"""

import errno
import fcntl
import os
import socket
from pathlib import Path

from config.embedded.layout import EmbeddedError, Paths, make_data_dir


class DataDirLock:
    """Held for as long as a supervisor runs. The kernel lets go of it however that ends."""

    def __init__(self, data_dir: Path) -> None:
        make_data_dir(data_dir)
        path = Paths(data_dir).lock
        # Not inherited by children (Python's default), who may outlive a killed supervisor.
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._descriptor, 32).decode(errors="replace").strip()
            os.close(self._descriptor)
            raise EmbeddedError(
                f"{data_dir}: in use by another Remembrancer (process {holder or 'unknown'}); "
                "stop that one, or set REMEMBRANCER_DATA_DIR to another folder"
            ) from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)


def check_port(host: str, port: int) -> None:
    """Refuses an address that cannot be listened on, by listening on it for a moment."""
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise EmbeddedError(
            f"HOST: {host!r} is no address of this machine ({error.strerror}); "
            "use 127.0.0.1, or 0.0.0.0 for every network"
        ) from None
    family, kind, protocol, _, address = addresses[0]
    with socket.socket(family, kind, protocol) as listener:
        # As gunicorn does: connections of a server that just stopped are no obstacle.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            listener.listen(1)
        except OSError as error:
            raise EmbeddedError(_refusal(host, port, error)) from None


def _refusal(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"PORT: {port} on {host} is in use by another program; stop it, or set PORT to a "
            "free one"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return f"HOST: {host} is no address of this machine; use 127.0.0.1, or 0.0.0.0 for all"
    if error.errno == errno.EACCES:
        return f"PORT: {port} needs administrator's rights; set PORT to one from 1024 up"
    return f"PORT: cannot listen on {host}:{port} ({error.strerror}); set HOST and PORT to others"
