"""An older result against a newer one. Pure: objects of `--json` in, rows out."""

from __future__ import annotations

from typing import Any, NamedTuple

from pregen.display.records import VERSION, Record
from pregen.display.text import plural
from pregen.errors import UsageError

#: Two benches of one thing differ by a few percent; less than this is no change.
SAME = 0.05


class Row(NamedTuple):
    """One number, then and now."""

    name: str
    """Ends in the unit."""
    old: float
    new: float

    @property
    def ratio(self) -> float:
        """New as a multiple of old."""
        return self.new / self.old

    @property
    def gain(self) -> float:
        """How many times as good; 1 when nothing changed. More is better of speeds alone."""
        return self.ratio if self.name.endswith("/s") else 1 / self.ratio


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
        _numbers(old)
        _circumstances(old)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"is damaged: {error!r} is not valid there.") from error
    return old


def rows(old: Record, new: Record) -> list[Row]:
    """Return a row for every number that both have, in the order of the new one's tables."""
    before = _numbers(old)
    return [
        Row(name, before[name], value)
        for name, value in _numbers(new).items()
        if before.get(name) and value
    ]


def warnings(old: Record, new: Record) -> list[str]:
    """Return what makes the comparison one of different things."""
    before, now = _circumstances(old), _circumstances(new)
    return [
        f"{name}: {before[name]} then, {value} now"
        for name, value in now.items()
        if before[name] != value
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


def _numbers(result: Record) -> dict[str, float]:
    prediction, decoders = result["prediction"], result["decoders"] or {"each": []}
    found = {f"{name}, images/s": result[name]["images_per_s"] for name in ("warm", "cold")}
    for name, spent_s in result["warm"]["stages_s"].items():
        found[f"{name}, ms"] = spent_s * 1e3
    for loader in result["loaders"]:
        kind = loader["mime"].rpartition("/")[2]
        found[f"{loader['loader']} {kind}, ms"] = loader["picture_s"] * 1e3
    for one in decoders["each"]:
        found[f"JPEG by {one['name']}, ms"] = one["picture_s"] * 1e3
    for step in result["scaling"]:
        found[f"{plural(step['workers'], 'worker')}, images/s"] = step["images_per_s"]
    if result["floor"]:
        found["times the floor"] = result["floor"]["ratio"]
    for share in result.get("shares", ()):
        for step in share["steps"]:
            readers = plural(step["readers"], "reader")
            found[f"share, {readers}, MB/s"] = step["bytes_per_s"] / 1e6
    found["start-up, s"] = prediction["startup_s"]
    found["whole library warm, s"] = prediction["warm"]["total"]
    found["whole library cold, s"] = prediction["cold"]["total"]
    return {name: float(value) for name, value in found.items()}


def _circumstances(result: Record) -> dict[str, str]:
    machine, settings = result["machine"], result["settings"]
    sample, library = result["sample"], result["library"]
    versions = (f"{name} {version}" for name, version in sorted(machine["libraries"].items()))
    return {
        "machine": f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}",
        "pregen": str(machine["pregen"]),
        "Python": str(machine["python"]),
        "libraries": ", ".join(versions),
        "workers": str(settings["workers"]),
        "flavors": ",".join(settings["flavors"]),
        "decoder": str(settings["decoder"]),
        "sample": f"{sample['sources']} files ({sample['digest'][:8]})",
        "library": f"{library['sources']} files, {library['bytes']} bytes",
    }
