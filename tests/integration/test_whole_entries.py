"""Damaged entries heal by ordinary runs, whatever damaged them; and planted ones hold nobody up."""

from __future__ import annotations

import io
import os
import struct
import zlib
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from tests.support.files.damaged_entries import DAMAGES, Entry
from tests.support.files.pictures import jpeg, put
from tests.support.files.source_trees import MTIME_NS
from tests.support.judges import desktops
from tests.support.running.capabilities import Capability, needs
from tests.support.running.program import run_pregen

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: Nothing can be put where a folder lies; `pregen verify --repair` removes it.
_CANNOT_HEAL = frozenset({"a folder in its place"})


def library(folder: Path, number: int) -> list[Path]:
    return [
        put(folder / f"{each:02}.jpg", jpeg(400 + 2 * each, 300, seed=each), MTIME_NS + each)
        for each in range(number)
    ]


def entry_of(cache: Path, source: Path) -> Path:
    return desktops.entry_path(cache, "large", desktops.glib_uri(source))


def shown_by_qt(path: Path, source: Path) -> bool:
    """Tell whether KIO would show it: a decoder takes it to its end, and the last of its texts fit.

    (KIO, previewjob.cpp; as Qt, Pillow passes over texts that it cannot read, and keeps the last.)
    """
    try:
        with Image.open(io.BytesIO(path.read_bytes()), formats=["PNG"]) as opened:
            opened.load()
            said = {key: str(value) for key, value in getattr(opened, "text", {}).items()}
    except (OSError, ValueError, SyntaxError, zlib.error, IndexError):
        return False
    facts = source.stat()
    return (
        said.get("Thumb::URI") == desktops.glib_uri(source)
        and said.get("Thumb::MTime", "").partition(".")[0] == str(facts.st_mtime_ns // 10**9)
        and said.get("Thumb::Size", str(facts.st_size)) == str(facts.st_size)
    )


def judges(cache: Path, sources: list[Path]) -> dict[str, list[bool]]:
    """Return what each client says of the large entries, in order."""
    return {
        "GIO": [bool(said.valid) for said in desktops.gio_flavor(cache, "large", sources)],
        "gnome-desktop": [
            said.path is not None for said in desktops.gnome_desktop(cache, "large", sources)
        ],
        "KIO": [shown_by_qt(entry_of(cache, source), source) for source in sources],
    }


@needs(Capability.GIO, Capability.GNOME_DESKTOP)
def test_what_some_client_refuses_is_made_anew_by_a_run_and_a_full_check(tmp_path: Path) -> None:
    damages = {name: damage for name, damage in DAMAGES.items() if name not in _CANNOT_HEAL}
    cache, photos = tmp_path / "cache", tmp_path / "photos"
    sources = library(photos, len(damages))
    assert run_pregen("run", photos, cache=cache).code == 0
    hangs = sources[[*damages].index("a FIFO in its place")]  # gnome-desktop, where it waits
    for damage, source in zip(damages.values(), sources, strict=True):
        if source != hangs:
            damage.plant(Entry(entry_of(cache, source), source))
    before = judges(cache, sources)
    damages["a FIFO in its place"].plant(Entry(entry_of(cache, hangs), hangs))
    assert sum(not all(said) for said in zip(*before.values(), strict=True)) >= 20, before
    assert run_pregen("run", photos, cache=cache).code == 0
    assert run_pregen("run", "--check=full", photos, cache=cache).code == 0
    for client, said in judges(cache, sources).items():
        refused = [name for name, yes in zip(damages, said, strict=True) if not yes]
        assert not refused, f"{client} still refuses {refused}"
    again = run_pregen("run", "--json", "--check=full", photos, cache=cache)
    assert again.summary["kinds"] == {"fresh": len(sources)}, again


#: Damage that each run finds when it first looks, and that only a full check finds.
_SEEN_AT_ONCE = ("cut within its picture", "without its end", "bytes behind its end", "zeros")
_SEEN_IN_FULL = (
    "a bit of its picture", "a bit of the packed picture", "rows missing", "a filter that is none",
)  # fmt: skip


@pytest.mark.parametrize(("check", "names"), [("quick", _SEEN_AT_ONCE), ("full", _SEEN_IN_FULL)])
def test_each_check_heals_what_it_looks_at(
    tmp_path: Path, check: str, names: tuple[str, ...]
) -> None:
    cache, photos = tmp_path / "cache", tmp_path / "photos"
    sources = library(photos, len(names))
    assert run_pregen("run", photos, cache=cache).code == 0
    sound = [entry_of(cache, source).read_bytes() for source in sources]
    for name, source in zip(names, sources, strict=True):
        DAMAGES[name].plant(Entry(entry_of(cache, source), source))
    done = run_pregen("run", "--json", f"--check={check}", photos, cache=cache)
    kinds = done.summary["kinds"]
    # What only went on behind its end has a picture that can be taken over.
    assert kinds.get("made", 0) + kinds.get("reused", 0) == len(sources), done
    assert [entry_of(cache, source).read_bytes() for source in sources] == sound


def test_damage_without_a_trace_in_stat_is_healed_by_a_full_check(tmp_path: Path) -> None:
    cache, photos = tmp_path / "cache", tmp_path / "photos"
    [source] = library(photos, 1)
    assert run_pregen("run", photos, cache=cache).code == 0
    path = entry_of(cache, source)
    sound, facts = path.read_bytes(), path.stat()
    with path.open("r+b") as file:
        file.seek(len(sound) // 2)
        file.write(b"\0" * 64)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert run_pregen("run", "--json", photos, cache=cache).summary["kinds"] == {"fresh": 1}
    done = run_pregen("run", "--json", "--check=full", photos, cache=cache)
    assert done.summary["kinds"] == {"made": 1}, done
    assert path.read_bytes() == sound


# Planted entries.


def _empty_texts(data: bytes) -> bytes:
    return data[:33] + _empty(b"tEXt") * 4_500_000 + data[33:]


def _empty_pictures(data: bytes) -> bytes:
    at = data.index(b"IDAT") - 4
    return data[:at] + _empty(b"IDAT") * 4_500_000 + data[at:]


def _empty_texts_of_a_megabyte(data: bytes) -> bytes:
    return data[:33] + _empty(b"tEXt") * 85_000 + data[33:]


def _empty(kind: bytes) -> bytes:
    return struct.pack(">I4sI", 0, kind, zlib.crc32(kind))


@pytest.mark.parametrize("plant", [_empty_texts, _empty_pictures, _empty_texts_of_a_megabyte])
def test_planted_entries_hold_no_verb_up(tmp_path: Path, plant: Callable[[bytes], bytes]) -> None:
    cache, photos = tmp_path / "cache", tmp_path / "photos"
    sources = library(photos, 2)
    assert run_pregen("run", photos, cache=cache).code == 0
    paths = [entry_of(cache, source) for source in sources]
    sound = [path.read_bytes() for path in paths]
    for path, data in zip(paths, sound, strict=True):
        path.write_bytes(plant(data))
    shown = run_pregen("show", "--json", sources[0], cache=cache)
    assert shown.code == 0, shown
    assert run_pregen("verify", cache=cache).code == 4
    assert run_pregen("clean", "--dry-run", cache=cache).code == 0
    assert run_pregen("export", "--to", tmp_path / "a.tar", cache=cache).code == 3
    assert run_pregen("run", photos, cache=cache).code == 0
    assert [path.read_bytes() for path in paths] == sound
