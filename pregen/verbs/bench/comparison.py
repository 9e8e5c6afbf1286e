"""An older result against a newer one. Pure: objects of `--json` in, rows out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pregen.display.records import VERSION, Record
from pregen.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Two benches of one thing differ by a few percent; less than this is no change.
SAME = 0.05


class Row(NamedTuple):
    """One number, then and now."""

    name: str
    old: float
    new: float
    speed: bool
    """True when more is better."""

    @property
    def ratio(self) -> float:
        """New as a multiple of old."""
        return self.new / self.old

    @property
    def gain(self) -> float:
        """How many times as good; 1 when nothing changed."""
        return self.ratio if self.speed else 1 / self.ratio


def check(old: Any) -> Record:
    """Return an object read from a file if it is a result of `pregen bench` that this can read.

    Raises:
        UsageError: it is not.
    """
    if not isinstance(old, dict) or old.get("type") != "bench":
        raise UsageError("is not what `pregen bench --save` writes.")
    if old.get("v") != VERSION:
        raise UsageError(f"is of version {old.get('v')!r}; this pregen compares version {VERSION}.")
    try:
        list(_numbers(old))
        list(_circumstances(old))
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"is damaged: {error!r} makes no sense there.") from error
    return old


def rows(old: Record, new: Record) -> list[Row]:
    """Return a row for every number that both have, in the order of the new one's tables."""
    before = {name: value for name, value, _ in _numbers(old)}
    return [
        Row(name, before[name], value, speed)
        for name, value, speed in _numbers(new)
        if before.get(name) and value
    ]


def warnings(old: Record, new: Record) -> list[str]:
    """Return what makes the comparison one of different things."""
    before = dict(_circumstances(old))
    return [
        f"{name}: {before[name]} then, {value} now"
        for name, value in _circumstances(new)
        if before.get(name) != value
    ]


def comparison_record(old: Record, new: Record) -> Record:
    """Return the comparison for `--json`."""
    return {
        "rows": [
            {"name": row.name, "old": row.old, "new": row.new, "ratio": round(row.ratio, 4)}
            for row in rows(old, new)
        ],
        "warnings": warnings(old, new),
    }


def _numbers(result: Record) -> Iterator[tuple[str, float, bool]]:
    for name in ("warm", "cold"):
        yield f"{name}, images/s", float(result[name]["images_per_s"]), True
    for name, spent_s in result["warm"]["stages_s"].items():
        yield f"{name}, ms", float(spent_s) * 1e3, False
    for loader in result["loaders"]:
        kind = loader["mime"].rpartition("/")[2]
        yield f"{loader['loader']} {kind}, ms", float(loader["picture_s"]) * 1e3, False
    for one in (result["decoders"] or {}).get("each", ()):
        yield f"JPEG by {one['name']}, ms", float(one["picture_s"]) * 1e3, False
    for step in result["scaling"]:
        workers = step["workers"]
        yield (
            f"{workers} worker{'s'[: workers > 1]}, images/s",
            float(step["images_per_s"]),
            True,
        )
    if result["floor"]:
        yield "times the floor", float(result["floor"]["ratio"]), False
    prediction = result["prediction"]
    yield "start-up, s", float(prediction["startup_s"]), False
    yield "whole library warm, s", float(prediction["warm"]["total"]), False
    yield "whole library cold, s", float(prediction["cold"]["total"]), False


def _circumstances(result: Record) -> Iterator[tuple[str, str]]:
    machine = result["machine"]
    yield "machine", f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}"
    yield "pregen", str(machine["pregen"])
    yield "Python", str(machine["python"])
    yield (
        "libraries",
        ", ".join(f"{name} {version}" for name, version in sorted(machine["libraries"].items())),
    )
    settings = result["settings"]
    yield "workers", str(settings["workers"])
    yield "flavors", ",".join(settings["flavors"])
    yield "decoder", str(settings["decoder"])
    yield "sample", f"{result['sample']['sources']} files ({result['sample']['digest'][:8]})"
    yield "library", f"{result['library']['sources']} files, {result['library']['bytes']} bytes"
