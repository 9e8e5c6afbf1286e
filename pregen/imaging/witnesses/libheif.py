"""libheif (libde265), for what a run has FFmpeg decode of HEIC."""

from __future__ import annotations

from pregen.imaging.containers import heif
from pregen.imaging.decoders import heic
from pregen.imaging.faults import Fault
from pregen.imaging.source_bytes import DamagedError
from pregen.imaging.witnesses.base import NoWitness, Question, Sight


def look(question: Question) -> Sight:
    """Decode a source. Raises NoWitness, TooLarge, MemoryError."""
    source = question.request.source
    try:
        picture = heic.read(source.whole())
        question.check(*picture.size)
        samples, space = heic.samples_of(picture)
    except Fault as fault:
        raise NoWitness(f"libheif: {fault}") from fault
    height_px, width_px = samples.shape[:2]
    return Sight(
        samples,
        {"grey16": "b-w", "rgb16": "srgb"}.get(space, space),
        width_px,
        height_px,
        1 if _is_turned(question) else question.orientation,
        heic.colour_of(picture.info),
        premultiplied=picture.mode.startswith("RGBa"),
    )


def _is_turned(question: Question) -> bool:
    """Tell whether libheif has turned it: by HEIF's own properties, not by EXIF."""
    source = question.request.source
    try:
        meta = heif.read(source.read_at, source.size_bytes)
    except DamagedError:
        return True
    main = meta.items.get(meta.primary)
    return main is None or heif.orientation(main) is not None
