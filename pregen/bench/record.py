"""A result as the object that `--json` writes and `--save` keeps. Pure.

Scripts and older results rely on the keys: add some, never rename. Times are seconds, speeds per
second, shares and efficiencies fractions of one.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from pregen.progress.records import VERSION, path_fields

if TYPE_CHECKING:
    from pregen.bench.model import Cold, Contest, Floor, Machine, Prediction, Result
    from pregen.bench.predict import Estimate
    from pregen.bench.sample import Sample
    from pregen.bench.stats import Group

Record = dict[str, Any]

#: Digits behind the point: microseconds in seconds.
_DIGITS = 6


def record(result: Result) -> Record:
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
