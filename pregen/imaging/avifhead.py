"""What Pillow does not tell of an AVIF: its colours by numbers, and whether all of it is there."""

from __future__ import annotations

from pregen.imaging import boxes, heifitem, heifmeta


def colour(data: bytes) -> heifitem.Colour:
    """Return how the colours of the main picture are meant; nothing when it is not told."""
    try:
        meta = _meta(data)
    except boxes.BoxError:
        return heifitem.Colour()
    main = meta.items.get(meta.primary)
    return heifitem.colour(main) if main else heifitem.Colour()


def ends_early(data: bytes) -> bool:
    """True when the file is shorter than its boxes say."""
    try:
        meta = _meta(data)
    except boxes.BoxError as error:
        return isinstance(error, boxes.EndsEarlyError)
    return heifitem.share_present(meta, meta.primary, len(data)) < 1


def _meta(data: bytes) -> heifmeta.Meta:
    return heifmeta.read(lambda at, count: data[at : at + count], len(data))
