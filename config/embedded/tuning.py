"""PostgreSQL's settings for one laptop or one small server, and why each is what it is.

Written to remembrancer.conf at each start, because they follow the machine. Lines that an
operator adds to postgresql.conf below the include win over them. What must hold whatever the
operator writes (no network, the socket's place) is on the command line instead (server.py).
"""

import os
import shutil
from pathlib import Path

MB = 1024 * 1024
# A laptop shares its memory with an editor, a browser and the agents, so PostgreSQL has an eighth
# of it, which a small database does not fill. 512 MB hold 100,000 passages whole. At a million the
# index of vectors alone is 1.2 GB, and a page from the operating system's cache costs a call:
# there searches took half the time with 3 GB.
SHARED_BUFFERS_SHARE = 8
SHARED_BUFFERS_MAX_MB = 4096
# Small machines give a quarter, at most so much, and none less than the last.
SHARED_BUFFERS_SMALL_MB = 512
SHARED_BUFFERS_MIN_MB = 64
# Docker gives containers 64 MB of shared memory, in which a parallel HNSW build fails.
ROOMY_SHM = 512 * MB
# For people's own psql, backups, commands and imports beside the pools.
SPARE_CONNECTIONS = 25
LOG_FILE_MB = 10


def machine_memory() -> int:
    """Bytes of RAM, or of the container's limit where that is smaller."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        return total
    return min(total, int(limit)) if limit.isdigit() else total


def connections_needed(*, web_workers: int, pool: int, threads: int, jobs: int) -> int:
    """Pools (or, without a pool, one connection per thread), the job worker, and a reserve."""
    # A job uses one connection, the worker its own pool of as many and one that listens.
    return web_workers * (pool or threads) + 2 * jobs + 2 + SPARE_CONNECTIONS


def shared_memory_type() -> str:
    """`posix` unless /dev/shm is small: then files in the data directory."""
    shm = Path("/dev/shm")  # noqa: S108  (only its size is read)
    if shm.is_dir() and shutil.disk_usage(shm).total < ROOMY_SHM:
        return "mmap"
    return "posix"


def settings(max_connections: int, *, memory: int | None = None) -> dict[str, str]:
    """The tuned settings by name."""
    memory = machine_memory() if memory is None else memory
    megabytes = memory // MB
    small = min(megabytes // 4, SHARED_BUFFERS_SMALL_MB)
    large = min(megabytes // SHARED_BUFFERS_SHARE, SHARED_BUFFERS_MAX_MB)
    buffers = max(small, large, SHARED_BUFFERS_MIN_MB)
    return {
        "shared_buffers": f"{buffers}MB",
        "effective_cache_size": f"{max(memory // 2 // MB, buffers)}MB",
        # For HNSW builds and VACUUM; only a few run at a time.
        "maintenance_work_mem": f"{min(max(memory // 16 // MB, 64), 256)}MB",
        "work_mem": "8MB",
        "max_connections": str(max_connections),
        "dynamic_shared_memory_type": shared_memory_type(),
        # Compiling a plan costs more than the short queries it would speed up.
        "jit": "off",
        # Incremental base backups need it; it costs a few kilobytes per megabyte written.
        "summarize_wal": "on",
        "wal_compression": "on",
        "max_wal_senders": "4",
        "checkpoint_completion_target": "0.9",
        "random_page_cost": "1.1",
        # A first import fills empty tables: until they are analysed, plans of lists are guesses.
        "autovacuum_naptime": "15s",
        "password_encryption": "scram-sha-256",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "default_text_search_config": "pg_catalog.english",
        "log_checkpoints": "off",
        "log_lock_waits": "on",
        # Statements and the details of errors carry people's data: the log names neither.
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
        "log_line_prefix": "%m [%p] %q%u@%d ",
    }


# A throwaway server has no backups and no replicas.
THROWAWAY = {
    "summarize_wal": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "wal_compression": "off",
    "autovacuum_naptime": "10s",
}


def render(values: dict[str, str]) -> str:
    """The text of remembrancer.conf."""
    lines = [f"{name} = '{value}'" for name, value in values.items()]
    return "\n".join(
        ["# Written by Remembrancer at each start; edit postgresql.conf instead.", *lines, ""]
    )
