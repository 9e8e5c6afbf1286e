"""`pregen formats`: what is read here, what waits for an extra, and the command that gets it."""

from __future__ import annotations

import re
import shlex
import subprocess
from importlib import metadata
from typing import TYPE_CHECKING, Any

from pregen import __version__
from pregen.imaging import compiled, sniff
from tests.support.faults.missing_extras import MODULES, without
from tests.support.files import broken, films, pdfs, pictures
from tests.support.running.program import run_pregen

if TYPE_CHECKING:
    from pathlib import Path


def formats(**options: Any) -> dict[str, dict[str, Any]]:
    """Return the records by format."""
    done = run_pregen("formats", "--json", **options)
    assert done.code == 0, done
    assert done.err == ""
    assert {record["v"] for record in done.records} == {1}
    return {record["format"]: record for record in done.records}


def test_each_format_is_told_with_library_and_version() -> None:
    found = formats()
    by_ours = compiled.IS_HERE
    assert found["jpeg"] == {
        "v": 1,
        "format": "jpeg",
        "mime": ["image/jpeg"],
        "reads": True,
        "library": "pregen" if by_ours else "simplejpeg",
        "version": __version__ if by_ours else metadata.version("simplejpeg"),
        "extra": None,
        "install": None,
        "trouble": None,
    }
    assert found["pdf"]["version"] == metadata.version("pypdfium2")
    assert found["video"]["extra"] == "video"
    assert not found["xcf"]["reads"]


def test_without_the_extras_each_says_what_it_needs(tmp_path: Path) -> None:
    found = formats(env=without(tmp_path))
    waiting = {record["extra"]: record for record in found.values() if record["extra"]}
    assert set(waiting) >= {"heic", "raw", "video", "pdf", "jxl"}
    for extra, record in waiting.items():
        assert not record["reads"]
        assert re.search(rf"\b{extra}\b", record["install"])
    assert waiting["pdf"]["trouble"] == "needs pregen[pdf]"
    assert found["jpeg"]["reads"]


def test_people_are_told_the_one_command_for_all(tmp_path: Path) -> None:
    told = run_pregen("formats", env=without(tmp_path, ("video", "pdf")))
    assert told.code == 0
    assert "image/jpeg" in told.out
    assert "needs pregen[video]" in told.out
    (line,) = (line for line in told.out.splitlines() if "install with: " in line)
    words = shlex.split(line.partition("install with: ")[2])
    assert "pdf" in words[-1]
    assert "video" in words[-1]
    # What a format needs, however long, does not run into its types.
    assert (
        "needs pregen[raw] for the rest\n"
        in run_pregen("formats", env=without(tmp_path, ("raw",))).out
    )
    everything = run_pregen("formats")
    assert "needs pregen" not in everything.out


def test_the_program_named_in_the_command_is_the_one_that_runs_pregen(tmp_path: Path) -> None:
    install = formats(env=without(tmp_path))["pdf"]["install"]
    program = next(word for word in shlex.split(install) if word.startswith("/"))
    is_checkout = program.endswith("/scripts/pregen")
    asked = [program, *([] if is_checkout else ["-P", "-m", "pregen"]), "--version"]
    told = subprocess.run(asked, check=True, capture_output=True).stdout
    assert told == f"pregen {__version__}\n".encode()


def test_every_format_that_is_recognised_is_listed() -> None:
    listed = {(each.name, each.mime) for each in sniff.FORMATS}
    samples = [
        *pictures.every_format().values(),
        *broken.magic_only().values(),
        pdfs.pdf(),
        films.sound_only(),
        films.sound_only("matroska"),
    ]
    for data in samples:
        found = sniff.sniff(data[: sniff.HEAD_BYTES])
        assert found is not None
        assert (found.name, found.mime) in listed
    assert {each.extra for each in sniff.FORMATS} - {""} <= set(MODULES)
