"""Documents, books, comics and paintings in ZIP files: the picture that they are known by.

| what | the picture |
|---|---|
| OpenDocument | `Thumbnails/thumbnail.png` (OpenDocument 1.3, part 2, 3.7) |
| Krita | `mergedimage.png`, else `preview.png` |
| OpenRaster | `mergedimage.png`, else `Thumbnails/thumbnail.png` |
| EPUB | the manifest's cover (EPUB 3.3, D.3; EPUB 2 by convention) |
| comic (CBZ) | the front cover that `ComicInfo.xml` names, else the first picture by its name |
| OOXML, 3MF | the thumbnail that the package is related to (ISO/IEC 29500-2, 8 and 11.3) |
"""

from __future__ import annotations

import posixpath
import re
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote

from pregen.imaging.containers import markup
from pregen.imaging.containers import zip as zip_file
from pregen.imaging.decoders import embedded
from pregen.imaging.decoders.embedded import Stored
from pregen.imaging.faults import (
    Fault,
    InvalidPicture,
    NotPicture,
    TruncatedPicture,
    Unsupported,
)
from pregen.imaging.source_bytes import DamagedError, EndsEarlyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pregen.imaging.containers.markup import Element
    from pregen.imaging.containers.zip import ZipMember
    from pregen.imaging.decoders.base import Request
    from pregen.imaging.source_bytes import SourceBytes

#: A cover that is damaged is not worth a search through the whole book.
_MOST_TRIES: Final = 3
_DIGITS: Final = re.compile(rb"(\d+)")
_PICTURE_NAMES: Final = (
    b".jpg", b".jpeg", b".jpe", b".jfif", b".png", b".webp", b".gif", b".avif", b".jxl", b".bmp",
    b".tif", b".tiff", b".heic", b".heif", b".jp2",
)  # fmt: skip
#: What programs leave beside the files of others.
_LITTER: Final = (b"__MACOSX/", b"._", b".DS_Store", b"Thumbs.db", b"desktop.ini")
_RELATIONS: Final = b"_rels/.rels"
_THUMBNAIL: Final = "/metadata/thumbnail"
#: Slicers relate their own, larger ones.
_COVER: Final = "/cover-thumbnail"
_MAIN_PARTS: Final = ("/officeDocument", "/3dmodel")
#: The main part's folder -> what the package is.
_PACKAGES: Final = {
    "word": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xl": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "ppt": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "3D": "model/3mf",
}


class _Candidate(NamedTuple):
    """A member that may be the picture."""

    name: bytes
    sized: bool = False
    vital: bool = False
    mime: str = ""


class _Archive:
    """A ZIP file whose directory has been read."""

    def __init__(self, source: SourceBytes) -> None:
        self._source = source
        self._members: dict[bytes, ZipMember] = {}
        for member in zip_file.members(source):
            self._members.setdefault(member.name, member)
        #: The names of parts do not differ by case (ISO/IEC 29500-2, 6.2.2.3).
        self._folded = {name.lower(): name for name in self._members}

    @property
    def names(self) -> list[bytes]:
        return list(self._members)

    def holds(self, name: bytes) -> bool:
        return name in self._members or name.lower() in self._folded

    def read(self, name: bytes) -> bytes:
        """Return a member. Raises DamagedError."""
        member = self._members.get(name) or self._members[self._folded[name.lower()]]
        return zip_file.read(self._source, member)

    def markup(self, name: bytes) -> list[Element]:
        """Return the elements of a member; none where it is not there. Raises DamagedError."""
        if not self.holds(name):
            return []
        member = self._members.get(name) or self._members[self._folded[name.lower()]]
        return markup.elements(zip_file.read(self._source, member, markup.MAX_BYTES))


def open_picture(request: Request) -> embedded.EmbeddedPicture:
    """Find the picture, and read its header.

    Raises:
        NotPicture: there is none in it.
        Fault: the file ends early or makes no sense, or the picture cannot be decoded.
    """
    try:
        archive = _Archive(request.source)
        candidates = list(islice(_FINDERS[request.format.name](archive), _MOST_TRIES))
    except DamagedError as error:
        raise _fault_of(error) from error
    faults: list[Fault] = []

    def opened() -> Iterator[embedded.EmbeddedPicture]:
        for name, sized, vital, mime in candidates:
            try:
                yield embedded.open_stored(
                    request, Stored(archive.read(name), sized, vital, mime=mime)
                )
            except DamagedError as error:
                faults.append(_fault_of(error))
            except Fault as fault:
                faults.append(fault)

    pictures = opened()
    for picture in pictures:
        picture.others = pictures
        return picture
    raise faults[0] if faults else NotPicture("no picture is stored in it")


def _fault_of(error: DamagedError) -> Fault:
    if isinstance(error, zip_file.BeyondLimitsError):
        return Unsupported(str(error))
    if isinstance(error, EndsEarlyError):
        return TruncatedPicture()
    return InvalidPicture(f"its contents are damaged: {error}")


def _named(*wanted: _Candidate) -> Callable[[_Archive], Iterator[_Candidate]]:
    def find(archive: _Archive) -> Iterator[_Candidate]:
        return (one for one in wanted if archive.holds(one.name))

    return find


# EPUB ----------------------------------------------------------------------------------------


def _of_book(archive: _Archive) -> Iterator[_Candidate]:
    paths = [
        one.attributes.get("full-path", "")
        for one in archive.markup(b"META-INF/container.xml")
        if one.name == "rootfile"
    ]
    if not paths or not archive.holds(paths[0].encode()):
        return
    package = archive.markup(paths[0].encode())
    folder = posixpath.dirname(paths[0])
    for href in dict.fromkeys(_covers(package)):
        name = _resolved(folder, href)
        if archive.holds(name):
            yield _Candidate(name)


def _covers(package: list[Element]) -> Iterator[str]:
    """Yield where covers are, as a package names them, the surest first."""
    items = [one.attributes for one in package if one.name == "item"]
    pictures = [one for one in items if one.get("media-type", "").startswith("image/")]
    for one in pictures:
        if "cover-image" in one.get("properties", "").split():
            yield one.get("href", "")
    named = [
        one.attributes.get("content", "")
        for one in package
        if one.name == "meta" and one.attributes.get("name") == "cover"
    ]
    for one in pictures:
        # Some name the file instead of the item.
        if {one.get("id"), one.get("href")} & set(named):
            yield one.get("href", "")
    for one in pictures:
        if "cover" in f"{one.get('id', '')} {one.get('href', '')}".lower():
            yield one.get("href", "")


def _resolved(folder: str, href: str) -> bytes:
    """Return the name of a member that a part in a folder of the archive refers to."""
    joined = posixpath.join("/", folder, unquote(href.partition("#")[0]))
    return posixpath.normpath(joined).lstrip("/").encode("utf-8", "surrogateescape")


# Comics --------------------------------------------------------------------------------------


def _of_comic(archive: _Archive) -> Iterator[_Candidate]:
    files = [name for name in archive.names if not name.endswith(b"/") and not _is_litter(name)]
    pages = sorted((one for one in files if one.lower().endswith(_PICTURE_NAMES)), key=_natural)
    if 2 * len(pages) < len(files):
        # Pictures in something else.
        return
    for name in files:
        if name.lower() == b"comicinfo.xml":
            try:
                info = archive.markup(name)
            except DamagedError:
                break
            fronts = [
                one.attributes.get("Image", "")
                for one in info
                if one.name == "Page" and one.attributes.get("Type") == "FrontCover"
            ]
            for front in fronts:
                if front.isascii() and front.isdigit() and len(front) < 6:  # noqa: PLR2004 - more than there can be
                    yield from (_Candidate(one, vital=True) for one in pages[int(front) :][:1])
    yield from (_Candidate(one, vital=True) for one in pages)


def _is_litter(name: bytes) -> bool:
    return name.startswith(_LITTER) or name.rpartition(b"/")[2].startswith(_LITTER)


def _natural(name: bytes) -> list[tuple[int, bytes]]:
    """Order by text, and by numbers where there are digits: page 2 before page 10."""
    parts = _DIGITS.split(name.lower())
    numbers = {at: parts[at].lstrip(b"0") for at in range(1, len(parts), 2)}
    return [(len(numbers[at]), numbers[at]) if at in numbers else (0, part)
            for at, part in enumerate(parts)]  # fmt: skip


# Packages of Office and of 3D printing -------------------------------------------------------


def _of_package(archive: _Archive) -> Iterator[_Candidate]:
    relations = [one.attributes for one in archive.markup(_RELATIONS) if one.name == "Relationship"]
    mime = ""
    for one in relations:
        if one.get("Type", "").endswith(_MAIN_PARTS):
            folder = _resolved("", one.get("Target", "")).partition(b"/")[0].decode("latin-1")
            mime = _PACKAGES.get(folder, "")
    for kind in (_THUMBNAIL, _COVER):
        for one in relations:
            if kind in one.get("Type", "") and one.get("TargetMode") != "External":
                name = _resolved("", one.get("Target", ""))
                if archive.holds(name):
                    yield _Candidate(name, mime=mime)


_FINDERS: Final[dict[str, Callable[[_Archive], Iterator[_Candidate]]]] = {
    "odf": _named(_Candidate(b"Thumbnails/thumbnail.png")),
    "krita": _named(
        _Candidate(b"mergedimage.png", sized=True, vital=True),
        _Candidate(b"preview.png", vital=True),
    ),
    "ora": _named(
        _Candidate(b"mergedimage.png", sized=True, vital=True),
        _Candidate(b"Thumbnails/thumbnail.png", vital=True),
    ),
    "epub": _of_book,
    "cbz": _of_comic,
    "ooxml": _of_package,
    "3mf": _of_package,
}
