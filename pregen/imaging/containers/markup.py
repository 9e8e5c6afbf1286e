"""The elements of a small XML file and their attributes, read without trust.

expat is handed no entity: a file that declares one is refused, so that none can unfold, and what
lies outside of the file is never looked for.
"""

from __future__ import annotations

from typing import Final, NamedTuple
from xml.parsers import expat

from pregen.imaging.source_bytes import DamagedError

#: A book of 2,000 chapters has half a megabyte.
MAX_BYTES: Final = 4 * 1024 * 1024
_MAX_ELEMENTS: Final = 100_000


class Element(NamedTuple):
    """The beginning of an element; both names without their prefixes."""

    name: str
    attributes: dict[str, str]


def elements(data: bytes) -> list[Element]:
    """Return the elements in the order in which they begin, up to an error if there is one.

    Raises:
        DamagedError: the file is too large, declares entities, or has no element.
    """
    if len(data) > MAX_BYTES:
        raise DamagedError(f"markup of {len(data) / 1e6:.0f} MB is not supported")
    found: list[Element] = []

    def begin(name: str, attributes: dict[str, str]) -> None:
        if len(found) >= _MAX_ELEMENTS:
            raise DamagedError("its markup has too many elements")
        told = {key.rpartition(":")[2]: value for key, value in attributes.items()}
        found.append(Element(name.rpartition(":")[2], told))

    def refuse(*_: object) -> None:
        raise DamagedError("its markup declares entities")

    parser = expat.ParserCreate()
    parser.StartElementHandler = begin
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(data, True)  # noqa: FBT003 - expat's own
    except (expat.ExpatError, ValueError, LookupError) as error:
        # An undefined name for a space must not cost the cover; nor a name of no encoding.
        if not found:
            raise DamagedError(f"its markup is damaged ({error})") from error
    if not found:
        raise DamagedError("its markup is empty")
    return found
