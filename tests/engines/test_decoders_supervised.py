"""A decoder that crashes, hangs or eats memory costs its own file and no other: every module's."""

from __future__ import annotations

import pkgutil
from itertools import count, product
from typing import TYPE_CHECKING

import pylibjxl
import pytest

from pregen import __version__
from pregen.cache.store import Cache
from pregen.config import EngineConfig, WorkConfig
from pregen.engines.base import Stop
from pregen.engines.local.engine import LocalEngine
from pregen.imaging import decoders, sniff
from pregen.model import Action, Flavor, Job, Kind, Step
from tests.support.faults.harmful_decoders import make_sabotaged
from tests.support.files import exchanged, films, heifs, pdfs, pictures, raws, stored
from tests.support.files.photo import photo
from tests.support.running.worker_processes import workers_left

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.slow]

#: What is no decoder: helpers of theirs.
_HELPERS = {"base"}
EXPECTED = {
    "plain": Kind.MADE,
    "segfault": Kind.CRASHED,
    "hang": Kind.TIMED_OUT,
    "hog": Kind.OUT_OF_MEMORY,
}


def _samples() -> dict[str, bytes]:
    """Return one file for each decoder, by its module's name."""
    picture = pictures.image(300, 200)
    return {
        "jpeg": pictures.jpeg(300, 200),
        "vips": pictures.encode(picture, "GIF"),
        "png": pictures.encode(picture, "PNG"),
        "webp": pictures.encode(picture, "WEBP"),
        "tiff": pictures.encode(picture, "TIFF", compression="tiff_lzw"),
        "svg": pictures.svg(),
        "pillow": pictures.encode(picture, "TGA"),
        "jpeg2000": pictures.encode(picture, "JPEG2000"),
        "bmp": pictures.encode(picture, "BMP"),
        "pcx": pictures.encode(picture, "PCX"),
        "psd": pictures.psd(300, 200),
        "netpbm": pictures.encode(picture, "PPM"),
        "pdf": pdfs.pdf(),
        "video": films.film([photo(320, 240, seed) for seed in range(3)]),
        "heic": heifs.heic(picture),
        "avif": pictures.encode(picture, "AVIF"),
        "raw": raws.dng(size=(1200, 800)),
        "archive": stored.document(("Thumbnails/thumbnail.png", pictures.encode(picture, "PNG"))),
        "stored": stored.gcode((300, 200, pictures.encode(picture, "PNG"))),
        "blend": stored.blend(picture),
        "dds": pictures.encode(picture, "DDS"),
        "fits": exchanged.fits(picture),
        "radiance": exchanged.radiance(picture),
        "xpm": exchanged.xpm(picture),
        "jxl": bytes(pylibjxl.encode(photo(300, 200))),
    }


def test_every_decoder_has_a_sample_of_its_own() -> None:
    modules = {module.name for module in pkgutil.iter_modules(decoders.__path__)} - _HELPERS
    named = {found.decoder for found in sniff.FORMATS if found.decoder}
    assert named <= modules
    for decoder, data in _samples().items():
        found = sniff.sniff(data[: sniff.HEAD_BYTES])
        assert found is not None
        assert found.decoder == decoder
    assert named <= set(_samples()), "add a sample of the new decoder"


def test_harm_done_in_any_decoder_costs_that_file_only(tmp_path: Path) -> None:
    number = count()
    jobs: list[Job] = []
    expected: dict[bytes, Kind] = {}
    for (decoder, data), (how, kind) in product(_samples().items(), EXPECTED.items()):
        path = pictures.put(tmp_path / "photos" / f"{decoder}.{how}.x", data)
        facts = path.stat()
        uri = path.as_uri()
        steps = tuple(Step(Action.MAKE, flavor, uri) for flavor in (Flavor.NORMAL, Flavor.LARGE))
        jobs.append(Job(next(number), bytes(path), facts.st_size, facts.st_mtime_ns, (uri,), steps))
        expected[bytes(path)] = kind
    root = tmp_path / "cache" / "thumbnails"
    with Cache(bytes(root), __version__) as cache:
        cache.prepare((Flavor.NORMAL, Flavor.LARGE))
    # Two deadlines for each file that hangs: as short as a busy machine allows.
    settings = EngineConfig(workers=8, timeout_s=5.0, worker_memory_bytes=2 << 30)
    engine = LocalEngine(
        make_sabotaged,
        WorkConfig(bytes(root), __version__),
        settings,
        ("tests.support.faults.harmful_decoders",),
    )
    outcomes = {outcome.path: outcome for outcome in engine.run(iter(jobs), Stop())}
    found = {path: outcome.kind for path, outcome in outcomes.items()}
    assert found == expected, {p: o.message for p, o in outcomes.items() if o.kind != expected[p]}
    made = [outcome for outcome in outcomes.values() if outcome.kind is Kind.MADE]
    assert len(list(root.glob("*/*.png"))) == 2 * len(made)
    assert not list(root.glob("fail/*/*.png"))
    assert not [path for path in root.rglob("*") if path.is_file() and path.suffix != ".png"]
    assert workers_left() == []
