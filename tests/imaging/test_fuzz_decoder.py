"""Our C code under sanitizers, beside its plain twin, libjpeg-turbo, libpng and libwebp, at damage.

The short run of what `scripts/soak fuzz` does for long, and proof that it finds what it should.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import simplejpeg

from pregen.imaging.containers import jpeg, jpeg_scans
from pregen.imaging.decoders import jpeg as jpeg_decoder
from tests.support.running.capabilities import Capability, needs
from tests.support.trials import fuzz_decoder
from tests.support.trials.fuzz_decoder import DECODER, ROOT, build, search

if TYPE_CHECKING:
    from tools.prove_faults import Sabotage

SABOTAGES = pytest.importorskip("tools.prove_faults", reason="not a checkout").SABOTAGES
#: Inputs, not seconds: a slow machine tries as many. Always the same ones: the suite says whether
#: a change breaks something. Others are `scripts/soak fuzz`'s.
RUNS = 5_000
#: The compiler alone may take minutes on a busy machine; one process compiles each target once.
pytestmark = [pytest.mark.timeout(900), pytest.mark.xdist_group("fuzz"), pytest.mark.slow]


class Targets:
    """Programs to search with, each compiled when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._built: dict[str, Path] = {}

    def take(self, name: str) -> Path:
        if name not in self._built:
            self._built[name] = build(self._folder, name=name, short=True)
        return self._built[name]


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Targets:
    return Targets(tmp_path_factory.mktemp("targets"))


def short_run(target: Path, folder: Path, name: str, runs: int = RUNS) -> fuzz_decoder.Search:
    fuzz_decoder.fill(folder / "seeds", name)
    (folder / "kept").mkdir()
    runs = runs // 2 if name in {"vp8", "vp8l", "boxed"} else 2 * runs
    options = [f"-runs={runs}", "-seed=1"]
    return search(target, [folder / "kept", folder / "seeds"], options, folder)


@needs(Capability.LIBFUZZER)
def test_damaged_jpegs_are_left_to_others_or_look_as_libjpeg_turbo_shows_them(
    targets: Targets, tmp_path: Path
) -> None:
    found = short_run(targets.take("jpegdc"), tmp_path, "jpegdc")
    assert found.findings == ()
    assert found.inputs >= RUNS
    # Otherwise nothing was compared.
    assert found.accepted >= RUNS // 50
    assert 0 < found.apart < found.samples // 50


@needs(Capability.LIBFUZZER)
def test_three_cursors_show_and_refuse_what_one_does(targets: Targets, tmp_path: Path) -> None:
    found = short_run(targets.take("cursors"), tmp_path, "cursors")
    assert found.findings == ()
    assert found.inputs >= RUNS
    assert found.accepted >= RUNS // 50


@needs(Capability.LIBFUZZER)
def test_pictures_and_streams_are_those_of_the_plain_twin(targets: Targets, tmp_path: Path) -> None:
    found = short_run(targets.take("chain"), tmp_path, "chain")
    assert found.findings == ()
    assert found.inputs >= RUNS * 9 // 10
    assert found.accepted >= RUNS // 20


@needs(Capability.LIBFUZZER)
def test_codes_of_webp_make_sense_where_they_do_to_libwebp(
    targets: Targets, tmp_path: Path
) -> None:
    found = short_run(targets.take("vp8l"), tmp_path, "vp8l")
    assert found.findings == ()
    assert found.inputs >= RUNS * 9 // 20
    assert found.accepted >= RUNS // 50


@needs(Capability.LIBFUZZER)
def test_a_first_partition_ends_where_it_does_to_libwebp(targets: Targets, tmp_path: Path) -> None:
    found = short_run(targets.take("vp8"), tmp_path, "vp8")
    assert found.findings == ()
    assert found.inputs >= RUNS * 9 // 20
    assert found.accepted >= RUNS // 50


@needs(Capability.LIBFUZZER)
def test_rows_tiles_and_lzw_are_what_libpng_and_the_standard_say(
    targets: Targets, tmp_path: Path
) -> None:
    found = short_run(targets.take("boxed"), tmp_path, "boxed")
    assert found.findings == ()
    assert found.inputs >= RUNS * 9 // 20
    assert found.accepted >= RUNS // 10
    assert found.samples > RUNS * 10
    assert found.apart == 0


@needs(Capability.LIBFUZZER)
@pytest.mark.parametrize("name", fuzz_decoder.TARGETS)
def test_what_was_found_once_stays_mended(targets: Targets, name: str, tmp_path: Path) -> None:
    fuzz_decoder.fill(tmp_path / "seeds", name)
    files = sorted((tmp_path / "seeds").iterdir())
    # libFuzzer would try an input again that keeps memory. Leaks are found at the end all the same.
    found = search(targets.take(name), files, ["-detect_leaks=0"], tmp_path)
    assert found.findings == ()
    assert found.inputs == len(files)


@needs(Capability.AARCH64)
def test_another_processor_makes_the_same_pictures(tmp_path: Path) -> None:
    """The code for NEON and both plain twins, compiled for aarch64 and run by QEMU."""
    fuzz_decoder.fill(tmp_path / "seeds", "chain")
    files = sorted((tmp_path / "seeds").iterdir())
    said = set()
    for compiler, runner in (("gcc", ()), ("aarch64-linux-gnu-gcc", ("qemu-aarch64",))):
        for options in ((), ("-DPLAIN_TWIN",)):
            program = tmp_path / "program"
            command = [
                compiler,
                "-O2",
                "-ffp-contract=off",
                "-static",
                "-DPRINTS",
                *options,
                f"-I{DECODER}",
            ]
            source = fuzz_decoder.source_of("chain")
            subprocess.run([*command, source, "-o", program, "-lm"], check=True)
            said.add(subprocess.check_output([*runner, program, *files], text=True))
    (lines,) = said
    assert lines.count("\n") == len(files)
    assert lines.count("\n0 ") > len(files) // 2


#: By the file that has them: of memory, of where cursors meet, of the picture, of strips.
PLANTED = [
    next(one for one in SABOTAGES if one.file == f"imaging/c/{name}.h")
    for name in ("bits", "cursors", "blocks", "lzw")
]


@needs(Capability.LIBFUZZER)
@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.name)
def test_the_short_run_finds_a_planted_bug(planted: Sabotage, tmp_path: Path) -> None:
    """Some of those that `scripts/prove-faults` tries."""
    decoder = tmp_path / "decoder"
    shutil.copytree(DECODER, decoder)
    file = decoder / Path(planted.file).name
    text = file.read_text()
    assert text.count(planted.old) == 1
    file.write_text(text.replace(planted.old, planted.new))
    name = next((name for name in ("cursors", "boxed") if name in planted.judge), "jpegdc")
    target = build(tmp_path, decoder, name, short=True)
    found = short_run(target, tmp_path, name, runs=4 * RUNS)
    assert found.findings


@needs(Capability.COMPILED)
def test_what_is_accepted_looks_as_the_installed_libjpeg_turbo_shows_it() -> None:
    """Not the one of the fuzz target: the one that does the work where the decoder says no."""
    compared = 0
    for sound in (*fuzz_decoder.seeds(), *(one.read_bytes() for one in finds())):
        data, head = sound, jpeg.read(sound)
        if head is None or not 0 < head.width_px * head.height_px <= 1 << 20:
            continue
        if head.progressive:
            try:
                data = jpeg_scans.reduced(data, head)
            except (ValueError, jpeg_scans.Incomplete):
                continue
        found = jpeg_decoder.decode_dc(data, head.width_px, head.height_px, 3)
        if found is None:
            continue
        rows, columns, _ = found.shape
        # Strict: a warning raises. A missing end warns, too, and costs no pixel.
        whole = data if b"\xff\xd9" in data[-2:] else data + b"\xff\xd9"
        other = simplejpeg.decode_jpeg(whole, "RGB", min_height=rows, min_width=columns)
        assert np.abs(found.astype(int) - other).max() <= 2
        compared += 1
    assert compared > 60


def finds() -> list[Path]:
    return sorted(fuzz_decoder.FINDS.glob("jpeg*.bin"))


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of pregen and its tests, the module of which is built with ASan and UBSan."""
    copied = tmp_path_factory.mktemp("sanitized")
    for part in ("pregen", "tests"):
        shutil.copytree(ROOT / part, copied / part, ignore=shutil.ignore_patterns("*.so"))
    module = copied / "pregen" / "imaging" / "_compiled.abi3.so"
    options = ("-g1", "-O1", "-ffp-contract=off", *fuzz_decoder.SANITIZERS, "-shared", "-fPIC")
    include = sysconfig.get_paths()["include"]
    source = DECODER / "module.c"
    subprocess.run(["gcc", *options, f"-I{include}", source, "-o", module, "-lm"], check=True)
    return copied


@needs(Capability.SANITIZERS)
@pytest.mark.xdist_group("sanitized")  # with the file's: a group apart
@pytest.mark.parametrize("name", ["jpegdc", "cursors", "compiled", "boxed"])
def test_the_decoders_own_tests_pass_under_sanitizers(sanitized: Path, name: str) -> None:
    asan = subprocess.check_output(["gcc", "-print-file-name=libasan.so"], text=True).strip()
    # Python keeps memory until its end on purpose: that is no leak of ours.
    environment = {**os.environ, "LD_PRELOAD": asan, "ASAN_OPTIONS": "detect_leaks=0"}
    # Without conftest: probes for other tests would mount things under the sanitizer.
    options = ("-q", "-p", "no:cacheprovider", "--noconftest", "-n", "0")
    command = [sys.executable, "-m", "pytest", *options, f"tests/imaging/test_{name}.py"]
    ask = "import pregen.imaging._compiled as module; print(module.__file__)"
    for asked in ([sys.executable, "-c", ask], command):
        done = subprocess.run(
            asked, cwd=sanitized, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        assert f"{sanitized}/" in done.stdout or " passed" in done.stdout
        assert "skipped" not in done.stdout
