"""PDFs written by hand: any boxes, any rotation, encrypted or not."""

from __future__ import annotations

#: Red in the upper left corner of a page of 600 x 400, green on the rest of its left half, blue on
#: its right half.
_CONTENT = b"0 0 1 rg 300 0 300 400 re f 0 0.6 0 rg 0 0 300 400 re f 1 0 0 rg 0 300 150 100 re f"
#: Objects a reader needs a password for: nobody has the one that made these numbers up.
_LOCK = (
    b"<</Filter/Standard/V 1/R 2/O<" + b"4a" * 32 + b">/U<" + b"7e" * 32 + b">/P -4>>"
)  # fmt: skip


def pdf(
    pages: int = 1, box: str = "0 0 600 400", extra: str = "", *, encrypted: bool = False
) -> bytes:
    """Return a PDF whose pages all look alike; `extra` are more entries of the page dictionary."""
    kids = " ".join(f"{number} 0 R" for number in range(4, 4 + pages))
    page = f"<</Type/Page/Parent 2 0 R/MediaBox[{box}]/Contents 3 0 R{extra}>>".encode()
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Kids[{kids}]/Count {pages}>>".encode(),
        b"<</Length %d>>\nstream\n%s\nendstream" % (len(_CONTENT), _CONTENT),
        *[page] * pages,
    ]
    trailer = f"<</Size {len(objects) + 1 + encrypted}/Root 1 0 R".encode()
    if encrypted:
        objects.append(_LOCK)
        trailer += b"/Encrypt %d 0 R/ID[<00><00>]" % len(objects)
    out = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    places = []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n%s>>\nstartxref\n%d\n%%%%EOF\n" % (trailer, start)
    return bytes(out)
