"""How much room the index takes on disk, and the processes in memory."""

import contextlib
from pathlib import Path
from typing import Any

import psutil

from benchmarks._server import Bench, superuser

MB = 2**20


def sizes(bench: Bench) -> dict[str, Any]:
    """Bytes of memory_passage and of each index on it: all of them, and for one passage."""
    with superuser(bench, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE memory_passage")
        (rows,) = connection.execute("SELECT count(*) FROM memory_passage").fetchone() or (0,)
        found: dict[str, int] = dict(
            connection.execute(
                "SELECT 'heap', pg_relation_size('memory_passage') UNION ALL "
                "SELECT 'toast', pg_total_relation_size(reltoastrelid) FROM pg_class "
                "WHERE oid = 'memory_passage'::regclass UNION ALL "
                "SELECT indexrelid::regclass::text, pg_relation_size(indexrelid) FROM pg_index "
                "WHERE indrelid = 'memory_passage'::regclass"
            ).fetchall()
        )
        buffers = connection.execute("SHOW shared_buffers").fetchone()
        (whole,) = connection.execute(
            "SELECT pg_total_relation_size('memory_passage')"
        ).fetchone() or (0,)
    # Half of the indexes are empty ones, of rows that this corpus has not.
    found = {name: size for name, size in found.items() if size * 1000 > whole}
    return {
        "passages": rows,
        "megabytes": {name: round(size / MB, 1) for name, size in found.items()}
        | {"all": round(whole / MB, 1)},
        "bytes_per_passage": {name: round(size / rows) for name, size in found.items()}
        | {"all": round(whole / rows)},
        "shared_buffers": buffers[0] if buffers else "",
    }


class Memory:
    """The most that the web processes and PostgreSQL had in memory, as seen by `look`.

    PSS shares what several processes map (shared_buffers, the model's file) between them, so that
    a sum counts it once; RSS counts it in each. To look takes a tenth of a second of the cores
    that are measured, so it is done between measurements.
    """

    def __init__(self, bench: Bench) -> None:
        self.roots = {"web": bench.web_pid, "postgres": _postmaster(bench)}
        if bench.jobs_pid:
            self.roots["jobs"] = bench.jobs_pid
        self.peaks: dict[str, dict[str, float]] = {name: {} for name in self.roots}

    def look(self) -> None:
        for name, root in self.roots.items():
            found = {"pss_mb": 0.0, "private_mb": 0.0, "peak_rss_mb": 0.0, "processes": 0.0}
            for process in _with_children(root):
                # It may have ended by now.
                with contextlib.suppress(psutil.Error):
                    full = process.memory_full_info()
                    found["pss_mb"] += full.pss / MB
                    found["private_mb"] += full.uss / MB
                    found["peak_rss_mb"] = max(found["peak_rss_mb"], _peak_rss(process) / MB)
                    found["processes"] += 1
            peaks = self.peaks[name]
            for key, value in found.items():
                peaks[key] = round(max(peaks.get(key, 0.0), value), 1)


def _postmaster(bench: Bench) -> int:
    from config.embedded.layout import Paths

    return int((Paths(bench.urls.data_dir).cluster / "postmaster.pid").read_text().split()[0])


def _peak_rss(process: psutil.Process) -> int:
    """Bytes, of the process's whole life where the kernel keeps that (Linux), else now."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return int(process.memory_info().rss)


def _with_children(pid: int) -> list[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []
