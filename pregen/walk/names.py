"""Which names tell that a file or a folder need not be looked at.

A cheap first filter only: what is a picture is decided by content, later. A name that is not
listed here is always looked into, so a JPEG called `photo` or `photo.old` is found.
"""

from __future__ import annotations

import re
from typing import Final

#: Folders never entered: thumbnail caches of this standard and of GIMP, Git's store, the
#: previews of Synology's indexer.
PRUNED: Final = frozenset((b".thumbnails", b".sh_thumbnails", b".thumblocal", b".git", b"@eaDir"))

#: A folder with an entry of this name asks media programs to stay out (Android).
NO_MEDIA: Final = b".nomedia"

#: Folders that hold thumbnails. Nothing below them is ever a source, named by the user or not
#: (standard, Thumbnail Creation: no thumbnail of a thumbnail).
_CACHES: Final = re.compile(
    rb"""/ (?: \.thumbnails | \.sh_thumbnails | \.thumblocal
             | \.cache/thumbnails
             | \.var/app/[^/]+/cache/thumbnails   # where a Flatpak program has its own
           ) (?: / | \Z )""",
    re.VERBOSE,
)

#: Endings, lower-cased, of files that no decoder of pregen or of its extras could ever read.
#: Left out on purpose, as they also end the names of pictures, previews or clips: .thm .ts .mts
#: .m2t .dat .bin .img .raw .tmp .part .bak .old .orig .pdf .ai .eps .svgz, and everything unknown.
NOT_PICTURES: Final = frozenset(
    b"." + word
    for line in (
        # text, documents, mail
        b"txt text md rst rtf log nfo tex bib csv tsv doc docx docm dot odt ott xls xlsx xlsm ods",
        b"ppt pptx pps odp epub mobi azw3 djvu chm eml mbox msg vcf ics srt sub ass vtt",
        # settings, data, web pages
        b"json jsonl geojson xml xsl xsd yaml yml toml ini cfg conf properties plist sql sqlite",
        b"sqlite3 sqlite3-wal sqlite3-shm sqlite-journal db db-wal db-shm mdb parquet npy npz",
        b"pickle pkl h5 hdf5",
        b"html htm xhtml mhtml css scss sass less url webloc desktop torrent gpx kml kmz",
        # what photo programs keep beside a picture
        b"xmp pp3 dop aae on1 cos cosessiondb lrcat lrdata lrtemplate vrd nksc arp bib3 pto",
        # programs
        b"py pyc pyo pyi ipynb js mjs cjs jsx tsx map c cc cpp cxx h hh hpp hxx java class jar kt",
        b"go rs rb pl pm php lua sh bash zsh fish ps1 bat cmd vbs cs swift scala r jl asm s o a so",
        b"dll exe msi sys lib ko wasm deb rpm apk ipa appimage flatpak snap",
        # sound
        b"mp3 flac ogg oga opus wav wave aif aiff aifc m4a m4b aac ac3 dts wma mid midi amr ape wv",
        b"m3u m3u8 pls cue",
        # archives, disk images, keys, checksums
        b"zip 7z rar tar gz tgz bz2 tbz2 xz txz zst lz4 lzma cab iso dmg vhd vhdx vmdk vdi qcow2",
        b"crypt key pem crt cer p12 gpg asc sig md5 sha1 sha256 sfv par2",
        # fonts
        b"ttf otf ttc woff woff2 pfb afm",
    )
    for word in line.split()
)


def cannot_be_picture(name: bytes) -> bool:
    """Tell whether a file of this name is passed over without a look at its content."""
    # With no dot in the name rfind gives -1: one character, never in the set.
    return name[name.rfind(b".") :].lower() in NOT_PICTURES


def in_named_cache(path: bytes) -> bool:
    """Tell whether `path` is, or lies below, a folder known by its name to hold thumbnails."""
    return _CACHES.search(path) is not None
