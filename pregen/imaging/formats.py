"""The name of a format: what `sniff` finds and `decoders` are chosen by."""

from __future__ import annotations

from typing import NamedTuple


class Format(NamedTuple):
    """One format as pregen sees it."""

    name: str
    mime: str
    """As shared-mime-info names it."""
    decoder: str = ""
    """The module of `imaging.decoders` that reads it; empty when none does. One that belongs to an
    extra imports its library at its top: where that fails, the source waits for the extra."""
    extra: str = ""
    """The extra of pregen that brings the library; empty when the core does, or none."""
