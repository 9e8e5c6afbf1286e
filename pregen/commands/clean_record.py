"""What `pregen clean --json` writes. Pure. Scripts rely on it: add keys, never rename."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pregen.clean.plan import Tally
from pregen.clean.selection import Kept, Reason
from pregen.errors import ExitCode
from pregen.progress.records import VERSION, path_fields

if TYPE_CHECKING:
    from pregen.clean.plan import Doomed, Plan


def entry_record(each: Doomed, *, deleted: bool) -> dict[str, Any]:
    """Return what became, or would become, of one entry."""
    return {
        "v": VERSION,
        "type": "entry",
        **path_fields(each.path),
        "folder": each.folder.name,
        "uri": each.uri,
        "reason": each.reason.value,
        "bytes": each.size_bytes,
        "deleted": deleted,
    }


def summary_record(plan: Plan | None, done: Tally | None, *, dry_run: bool) -> dict[str, Any]:
    """Return the last object.

    Args:
        plan: None: there is no cache.
        done: What was really deleted; None: nothing was.
        dry_run: Nothing was to be deleted.
    """
    kept = plan.kept if plan else Tally()
    planned = plan.going if plan else Tally()
    return {
        "v": VERSION,
        "type": "summary",
        "exit_code": int(ExitCode.DONE),
        "dry_run": dry_run,
        "entries": plan.total if plan else 0,
        "bytes": plan.total_bytes if plan else 0,
        "planned": {reason.value: _count(planned, reason) for reason in Reason},
        "deleted": {reason.value: _count(done or Tally(), reason) for reason in Reason},
        "kept": {
            why.value: _count(done or Tally() if why is Kept.CHANGED else kept, why) for why in Kept
        },
        "offline": [
            {**path_fields(place), "entries": number, "hung": place in plan.hung}
            for place, number in plan.offline.most_common()
        ]
        if plan
        else [],
        "hung": [path_fields(point) for point in plan.hung] if plan else [],
        "links": [path_fields(link) for link in plan.links] if plan else [],
    }


def _count(tally: Tally, why: Reason | Kept) -> dict[str, int]:
    return {"entries": tally.entries[why], "bytes": tally.size_bytes[why]}
