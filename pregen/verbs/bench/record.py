"""A result as the object that `--json` writes and `--save` keeps. Pure.

Scripts and older results rely on the keys: add some, never rename. Times are seconds, speeds per
second, shares and efficiencies fractions of one.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from pregen.display.records import VERSION, path_fields
from pregen.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pregen.verbs.bench.model import Cold, Contest, Floor, Machine, Prediction, Result
    from pregen.verbs.bench.sample import Sample
    from pregen.verbs.bench.stats import Estimate, Group


Record = dict[str, Any]

#: Digits behind the point: microseconds in seconds.
_DIGITS = 6


def result_record(result: Result) -> Record:
    """Return the one object."""
    work = result.config.work
    return {
        "v": VERSION,
        "type": "bench",
        "machine": _machine(result.machine),
        "roots": [path_fields(root) for root in result.config.walk.roots],
        "settings": {
            "workers": result.config.engine.workers,
            "flavors": [flavor.directory for flavor in work.flavors],
            "decoder": work.decoder.value,
        },
        "library": {
            "sources": result.sample.total.sources,
            "bytes": result.sample.total.size_bytes,
            "passed_over": result.passed_over,
            "unreadable": result.unread,
            "strata": _strata(result.sample),
        },
        "sample": {
            "sources": len(result.sample.sources),
            "bytes": sum(source.size_bytes for source in result.sample.sources),
            "seed": result.sample.seed,
            "digest": result.sample.digest,
            "covers": result.sample.covers,
            "kinds": {kind.value: number for kind, number in result.kinds.items()},
            "needs_extra": dict(result.extras),
            "failures": [
                {**path_fields(one.path), "kind": one.kind.value, "message": one.message}
                for one in result.failures
            ],
        },
        "warm": {**_group(result.warm), "cpu_share": _round(result.warm_cpu_share)},
        "cold": _cold(result.cold),
        "loaders": [_group(group) for group in result.groups],
        "scaling": [
            {
                "workers": step.workers,
                "images_per_s": _round(step.images_per_s),
                "efficiency": _round(step.efficiency),
            }
            for step in result.scaling
        ],
        "decoders": _contest(result.contest),
        "floor": _floor(result.floor),
        "limit": result.limit.value,
        "prediction": _prediction(result.prediction),
    }


def _machine(machine: Machine) -> Record:
    return {**machine._asdict(), "libraries": dict(machine.libraries)}


def _strata(sample: Sample) -> list[Record]:
    from_each = Counter(sample.strata)
    return [
        {
            "extension": stratum.extension,
            "below_bytes": 4**stratum.size_class,
            "sources": totals.sources,
            "bytes": totals.size_bytes,
            "drawn": from_each[stratum],
        }
        for stratum, totals in sorted(sample.library.items())
    ]


def _group(group: Group) -> Record:
    stages = group.stages._asdict()
    return {
        "loader": group.loader,
        "mime": group.mime,
        "pictures": group.pictures,
        "images_per_s": _round(group.images_per_s),
        "pixels_per_s": round(group.pixels_per_s),
        "bytes_per_s": round(group.bytes_per_s),
        "picture_s": _round(group.picture_s),
        "stages_s": {
            name.removesuffix("_ns"): _round(spent_ns / 1e9) for name, spent_ns in stages.items()
        },
    }


def _cold(cold: Cold) -> Record:
    return {
        **_group(cold.group),
        "cpu_share": _round(cold.cpu_share),
        "slowdown": _round(cold.slowdown),
        "resident_share": _round(cold.resident_share),
    }


def _contest(contest: Contest | None) -> Record | None:
    if contest is None:
        return None
    return {
        "pictures": contest.pictures,
        "each": [
            {
                "name": one.name,
                "decode_s": _round(one.decode_s),
                "picture_s": _round(one.total_s),
                "ratio": _round(one.ratio),
            }
            for one in contest.decodings
        ],
    }


def _floor(floor: Floor | None) -> Record | None:
    if floor is None:
        return None
    return {
        "pictures": floor.pictures,
        "floor_s": _round(floor.floor_s),
        "picture_s": _round(floor.run_s),
        "ratio": _round(floor.ratio),
    }


def _prediction(prediction: Prediction) -> Record:
    return {
        "startup_s": _round(prediction.startup_s),
        "warm": _estimate(prediction.warm_s),
        "cold": _estimate(prediction.cold_s),
        "entries": _estimate(prediction.space.entries),
        "disk_bytes": _estimate(prediction.space.disk_bytes),
        "free_bytes": prediction.space.free_bytes,
    }


def _estimate(found: Estimate) -> Record:
    return {"total": _round(found.total), "plus_minus": _round(found.spread)}


def _round(value: float) -> float:
    return round(value, _DIGITS)


# --- An older result against a newer one. Pure: objects of `--json` in, rows out


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
