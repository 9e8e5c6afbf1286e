"""What `pregen status --json` writes. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pregen.progress.records import VERSION, path_fields

if TYPE_CHECKING:
    from pregen.commands.census import FolderCount
    from pregen.commands.status_facts import StatusFacts
    from pregen.journal import Failure, Run


def status_record(facts: StatusFacts) -> dict[str, Any]:
    """Return the one object."""
    return {
        "v": VERSION,
        "type": "status",
        "cache": path_fields(facts.root),
        "journal": path_fields(facts.journal),
        "flavors": {count.name: _folder(count) for count in facts.census.flavors},
        "fail_records": {count.name: _folder(count) for count in facts.census.fail_records},
        "runs": [_run(run) for run in facts.runs],
        "failure_counts": {kind.value: number for kind, number in facts.failure_counts.items()},
        "failures": [_failure(failure) for failure in facts.failures],
        "warnings": list(facts.warnings),
    }


def _folder(count: FolderCount) -> dict[str, Any]:
    return {"entries": count.entries, "bytes": count.size_bytes, "others": count.others}


def _run(run: Run) -> dict[str, Any]:
    return {
        "id": run.run_id,
        "state": run.state.value,
        "started_at_ns": run.started_at_ns,
        "ended_at_ns": run.ended_at_ns,
        "version": run.version,
        "host": run.host,
        "pid": run.pid,
        "cwd": path_fields(run.cwd),
        "arguments": list(run.arguments),
        "exit_code": run.exit_code,
        "kinds": dict(run.counts),
        "bytes_read": run.bytes_read,
        "bytes_written": run.bytes_written,
        "entries_written": run.entries_written,
        "wall_ns": run.wall_ns,
    }


def _failure(failure: Failure) -> dict[str, Any]:
    return {
        **path_fields(failure.path),
        "kind": failure.kind.value,
        "message": failure.message,
        "size": failure.size_bytes,
        "mtime_ns": failure.mtime_ns,
        "run": failure.run_id,
        "seen_at_ns": failure.seen_at_ns,
    }
