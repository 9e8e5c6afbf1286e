"""Which of the formats that are ZIP files one is, by its first members.

OpenDocument, EPUB, Krita and OpenRaster put their type into the first one, named `mimetype` and not
compressed. Packages (Office, 3D printing) and comics are told by names; what a package is exactly,
`decoders.archive` finds in it.
"""

from __future__ import annotations

from typing import Final

from pregen.imaging.containers import zip as zip_file
from pregen.imaging.formats import Format

_DOCUMENT: Final = "application/vnd.oasis.opendocument."
_KINDS: Final = (
    "text", "text-template", "text-web", "text-master", "graphics", "graphics-template",
    "presentation", "presentation-template", "spreadsheet", "spreadsheet-template", "chart",
    "chart-template", "formula", "formula-template", "database", "image",
)  # fmt: skip
#: What `mimetype` says -> the format.
_BY_TYPE: Final = {
    mime.encode(): Format(name, mime, "archive")
    for name, mime in (
        *(("odf", _DOCUMENT + kind) for kind in _KINDS),
        *(
            ("odf", f"application/vnd.sun.xml.{kind}")
            for kind in ("writer", "calc", "impress", "draw")
        ),
        ("epub", "application/epub+zip"),
        ("krita", "application/x-krita"),
        ("ora", "image/openraster"),
    )
}
_OFFICE: Final = "application/vnd.openxmlformats-officedocument."
#: Folders of a package -> the format.
_BY_FOLDER: Final = {
    b"word/": Format("ooxml", _OFFICE + "wordprocessingml.document", "archive"),
    b"xl/": Format("ooxml", _OFFICE + "spreadsheetml.sheet", "archive"),
    b"ppt/": Format("ooxml", _OFFICE + "presentationml.presentation", "archive"),
    b"3D/": Format("3mf", "model/3mf", "archive"),
}
#: Of packages whose main part lies further behind.
_PACKAGE: Final = Format("ooxml", "application/zip", "archive")
_PACKAGE_PARTS: Final = (b"[Content_Types].xml", b"_rels/", b"docProps/")
_COMIC: Final = Format("cbz", "application/vnd.comicbook+zip", "archive")
#: What the pages of a comic are, as their names say, and what stands beside them.
_PAGES: Final = (b".jpg", b".jpeg", b".png", b".webp", b".gif", b".avif", b".jxl", b"comicinfo.xml")
#: All that `sniff` can answer.
FORMATS: Final = (*_BY_TYPE.values(), *_BY_FOLDER.values(), _PACKAGE, _COMIC)


def sniff(head: bytes) -> Format | None:
    """Return the format of a ZIP file that begins with `head`; None for one without pictures."""
    found = list(zip_file.first_members(head))
    if not found:
        return None
    if found[0].name == b"mimetype":
        return _BY_TYPE.get(found[0].content.strip())
    names = [member.name for member in found]
    for folder, kind in _BY_FOLDER.items():
        if any(name.startswith(folder) for name in names):
            return kind
    if names[0].startswith(_PACKAGE_PARTS):
        return _PACKAGE
    files = [name for name in names if not name.endswith(b"/")]
    return _COMIC if files and files[0].lower().endswith(_PAGES) else None
