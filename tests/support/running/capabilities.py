"""What this machine can be used to test, found out by trying, never by a name or a version.

`needs(Capability.TUMBLER)` marks a test; the suite's conftest skips it where the probe fails and
says at the end how many tests that cost. Probes run once in the process that starts the suite.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks.shares import share
from pregen.filesystems.guard import Surveyor
from pregen.filesystems.identity import file_system
from pregen.sandbox import confinement
from tests.support.faults.hanging_mount import StuckMount
from tests.support.files import vaults
from tests.support.files.loop_disk import LoopDisk
from tests.support.files.pictures import jpeg, put
from tests.support.judges import browser, desktops
from tests.support.judges.desktop_roots import BOOKWORM, TRIXIE
from tests.support.running.program import MODES_COUNT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.judges.desktop_roots import DesktopRoot

_ROOT = Path(__file__).resolve().parents[3]


_GNOME_KEY = ("org.gnome.desktop.thumbnail-cache", "maximum-size")


class Capability(Enum):
    """Something a test needs and a machine may lack; the value tells people how to get it."""

    GIO = "GIO (Debian: libglib2.0-bin)"
    MIME = "GIO and its type database (Debian: libglib2.0-bin shared-mime-info)"
    GNOME_DESKTOP = "gnome-desktop (Debian: python3-gi gir1.2-gnomedesktop-3.0)"
    TUMBLER = "tumblerd (Debian: tumbler dbus python3-gi)"
    DEBIAN_12 = "KIO 5 and libfm-qt 1 (root; scripts/desktop-root bookworm)"
    DEBIAN_13 = "clients of Debian 13 (root; scripts/desktop-root trixie)"
    GSETTINGS = "GNOME's settings (Debian: libglib2.0-bin gsettings-desktop-schemas)"
    DCONF = "dconf (Debian: dconf-gsettings-backend dbus, and GNOME's settings)"
    CORPUS = "the corpus of real photos (../shared/corpus, or $PREGEN_CORPUS)"
    FILE_MODES = "a program that file modes bind (not root, or setpriv)"
    DEVICE_NODES = "making device nodes (root with CAP_MKNOD)"
    MOUNT = "mounting a tmpfs (root with CAP_SYS_ADMIN)"
    GOCRYPTFS = "gocryptfs (Debian: gocryptfs fuse3; root, /dev/fuse)"
    BINDFS = "bindfs (Debian: bindfs)"
    ENCFS = "EncFS (Debian: encfs fuse3; root, /dev/fuse)"
    CRYFS = "CryFS (Debian: cryfs fuse3; root, /dev/fuse)"
    FSCRYPT = "folders encrypted by ext4 (root, a loop device, CONFIG_FS_ENCRYPTION)"
    DM_CRYPT = "a LUKS device on a loop device (Debian: cryptsetup-bin; root, dm_crypt)"
    STUCK_MOUNT = "mounting with FUSE in a namespace (root with CAP_SYS_ADMIN, /dev/fuse, nsenter)"
    SSHFS = "sshfs over loopback (Debian: sshfs openssh-server util-linux; /dev/fuse)"
    TMUX = "tmux"
    SCRIPT = "script (Debian: bsdutils)"
    OPENSSL = "openssl (Debian: openssl)"
    JQ = "jq"
    SYSTEMD = "systemd-analyze (Debian: systemd)"
    VALIDATORS = "validators of desktop files (Debian: desktop-file-utils appstream libxml2-utils)"
    CHROMIUM = "a headless browser (Debian: chromium)"
    SANDBOX = "Landlock and seccomp (Linux 5.13, lsm=landlock; x86-64 or arm64)"
    COMPILED = "pregen's C module (a C compiler and Python's headers when it was installed)"
    LIBFUZZER = (
        "clang with libFuzzer, and headers of libjpeg-turbo, libwebp and zlib"
        " (Debian: clang libclang-rt-dev libjpeg62-turbo-dev libpng-dev libwebp-dev zlib1g-dev)"
    )
    SANITIZERS = "gcc with ASan and UBSan, and Python's headers"
    AARCH64 = (
        "a compiler for aarch64, and QEMU"
        " (Debian: gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user)"
    )
    OLDER_GCC = "GCC 11 (Debian: gcc-11)"
    PRELOAD = "a C compiler and a libc that obeys LD_PRELOAD"
    IMAGEMAGICK = "ImageMagick (Debian: imagemagick)"
    GDK_PIXBUF = "gdk-pixbuf (Debian: python3-gi gir1.2-gdkpixbuf-2.0)"
    JXL_TOOLS = "cjxl and djxl (Debian: libjxl-tools)"
    AVIF_TOOLS = "avifenc and avifdec (Debian: libavif-bin)"
    HEIF_TOOLS = "heif-enc and heif-convert (Debian: libheif-examples)"
    JP2_TOOLS = "opj_compress and opj_decompress (Debian: libopenjp2-tools)"
    FFMPEG = "FFmpeg's program (Debian: ffmpeg)"
    STRACE = "strace (Debian: strace; the right to trace)"
    LOOP_DISK = "an ext4 on a loop device (root; Debian: e2fsprogs mount)"
    NUMBERED_FILES = "temporary files on a disk that numbers its files for good (ext4, XFS, btrfs)"

    @property
    def missing(self) -> str:
        """The reason a test is skipped with; starts the same for all of them."""
        return f"needs {self.value}"


def corpus() -> Path:
    """Return the folder of real photos; it may not exist."""
    return Path(_CORPUS_VARIABLE or _ROOT.parent / "shared" / "corpus")


#: Read at import: every test runs without the PREGEN_* variables of the person who started it.
_CORPUS_VARIABLE = os.environ.get("PREGEN_CORPUS", "")


def needs(*wanted: Capability) -> pytest.MarkDecorator:
    """Mark a test as one that needs these capabilities."""
    return pytest.mark.needs(*(capability.name for capability in wanted))


def probe_all() -> dict[str, bool]:
    """Try everything at once; return what works by the capability's name."""
    with ThreadPoolExecutor(len(Capability)) as pool:
        names = [capability.name for capability in Capability]
        return dict(zip(names, pool.map(_works, Capability), strict=True))


def _works(capability: Capability) -> bool:
    try:
        return _PROBES[capability]()
    except (OSError, subprocess.SubprocessError, desktops.OracleError):
        return False


def _ends_well(*command: str) -> bool:
    done = subprocess.run(command, capture_output=True, timeout=20, check=False)
    return done.returncode == 0


def _asks(question: Callable[[Path, Path], bool]) -> bool:
    """Put a question to a desktop about a picture and an empty cache."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        return question(folder / "cache", put(folder / "a.jpg", jpeg(150, 150)))


@cache
def modes_count() -> tuple[str, ...]:
    """Return what to put before a command so that file modes bind it: nothing, unless for root."""
    return () if _bound_by_modes(()) else MODES_COUNT


def _bound_by_modes(prefix: tuple[str, ...]) -> bool:
    with tempfile.TemporaryDirectory() as scratch:
        closed = put(Path(scratch) / "closed", b"x")
        readable = _ends_well(*prefix, "cat", str(closed))
        closed.chmod(0)
        return readable and not _ends_well(*prefix, "cat", str(closed))


def _names_types() -> bool:
    with tempfile.TemporaryDirectory() as scratch:
        file = put(Path(scratch) / "nameless", b"%PDF-1.7\n")
        asked = ["gio", "info", "-a", "standard::content-type", str(file)]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=20, check=False)
        return "application/pdf" in done.stdout


def _makes_device_nodes() -> bool:
    with tempfile.TemporaryDirectory() as scratch:
        os.mknod(Path(scratch) / "null", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
        return True


def _mounts() -> bool:
    if os.geteuid() != 0:
        return False
    with tempfile.TemporaryDirectory() as scratch:
        if not _ends_well("mount", "-t", "tmpfs", "-o", "size=64k", "pregen-probe", scratch):
            return False
        return _ends_well("umount", scratch)


def _in_scratch(tried: Callable[[Path], bool]) -> bool:
    if os.geteuid() != 0:
        return False
    with tempfile.TemporaryDirectory() as scratch:
        return tried(Path(scratch))


def _has_vault(kind: str) -> bool:
    return _in_scratch(lambda folder: vaults.works(kind, folder))


def _decrypts(folder: Path) -> bool:
    with vaults.luks(folder):
        return True


def _mounts_with_fuse() -> bool:
    with tempfile.TemporaryDirectory() as scratch, StuckMount(Path(scratch)) as stuck:
        return _ends_well(*stuck.inside, "true")


def _mounts_with_sshfs() -> bool:
    with tempfile.TemporaryDirectory() as scratch:
        return share.works(Path(scratch))


def _runs_clients(root: DesktopRoot) -> bool:
    if not root.folder.is_dir():
        return False
    return _asks(lambda empty, file: desktops.libfm_qt(empty, "normal", [file], root) == [False])


def _dconf_keeps() -> bool:
    """Tell whether a session bus and dconf keep a setting."""
    with tempfile.TemporaryDirectory() as scratch:
        command = ["dbus-run-session", "--", "gsettings", "set", *_GNOME_KEY, "7"]
        env = {"PATH": os.environ.get("PATH", os.defpath), "HOME": scratch}
        subprocess.run(command, env=env, capture_output=True, timeout=20, check=True)
        return (Path(scratch) / ".config" / "dconf" / "user").is_file()


def _tmux_works() -> bool:
    socket = f"pregen-probe-{os.getpid()}"
    try:
        return _ends_well("tmux", "-L", socket, "-f", "/dev/null", "new-session", "-d", "cat")
    finally:
        if shutil.which("tmux"):
            subprocess.run(["tmux", "-L", socket, "kill-server"], capture_output=True, check=False)


def _preloads() -> bool:
    with tempfile.TemporaryDirectory() as scratch:
        source = put(Path(scratch) / "probe.c", b"int pregen_probe(void) { return 7; }\n")
        built = source.with_suffix(".so")
        if not _ends_well("cc", "-shared", "-fPIC", "-o", str(built), str(source)):
            return False
        asked = "import ctypes, sys; sys.exit(ctypes.CDLL(None).pregen_probe() != 7)"
        return _ends_well("env", f"LD_PRELOAD={built}", sys.executable, "-c", asked)


def _compiles(compiler: str, text: bytes, *options: str) -> bool:
    with tempfile.TemporaryDirectory() as scratch:
        source = put(Path(scratch) / "probe.c", text)
        command = [compiler, str(source), *options, "-o", str(source.with_suffix(".so"))]
        # Beside a busy suite a compiler takes its time.
        return not subprocess.run(command, capture_output=True, timeout=200, check=False).returncode


def _fuzzes() -> bool:
    text = b"#include <stdio.h>\n#include <jpeglib.h>\n#include <stdint.h>\n#include <zlib.h>\n"
    text += b"#include <webp/decode.h>\n"
    text += b"int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)\n"
    text += b"{ struct jpeg_error_mgr mgr; WebPFree(0); return !data && !jpeg_std_error(&mgr); }\n"
    return _compiles("clang", text, "-fsanitize=fuzzer", "-ljpeg", "-lwebp")


def _sanitizes() -> bool:
    include = sysconfig.get_paths()["include"]
    options = ("-fsanitize=address,undefined", "-shared", "-fPIC", f"-I{include}")
    return _compiles("gcc", b"#include <patchlevel.h>\nint probe;\n", *options)


def _mounts_disks(folder: Path) -> bool:
    with LoopDisk(folder / "disk") as disk:
        return disk.free_inodes() > 0


def _numbers_files() -> bool:
    folder = os.fsencode(tempfile.gettempdir())
    device = os.stat(folder).st_dev
    surveyor = Surveyor()
    ground = surveyor.of_folder(folder, device)
    system = file_system(ground.kind, os.statvfs(folder).f_fsid, device, ground.source)
    return system.numbers_files and not ground.fuse and not surveyor.encrypts_folders(device)


_PROBES: dict[Capability, Callable[[], bool]] = {
    Capability.STRACE: lambda: _ends_well("strace", "-f", "-o", "/dev/null", "true"),
    Capability.NUMBERED_FILES: _numbers_files,
    Capability.LOOP_DISK: lambda: _in_scratch(_mounts_disks),
    Capability.COMPILED: lambda: find_spec("pregen.imaging._compiled") is not None,
    Capability.BINDFS: lambda: _ends_well("bindfs", "--version"),
    Capability.GOCRYPTFS: lambda: _has_vault("gocryptfs"),
    Capability.ENCFS: lambda: _has_vault("encfs"),
    # To make a vault of its takes many seconds of a processor, for its key.
    Capability.CRYFS: lambda: _ends_well("cryfs", "--version") and _mounts_with_fuse(),
    Capability.FSCRYPT: lambda: _in_scratch(vaults.encrypts),
    Capability.DM_CRYPT: lambda: _in_scratch(_decrypts),
    Capability.GIO: lambda: _asks(lambda empty, file: len(desktops.gio(empty, [file])) == 1),
    Capability.MIME: _names_types,
    Capability.GNOME_DESKTOP: lambda: _asks(
        lambda empty, file: desktops.gnome_desktop(empty, "large", [file])[0].path is None
    ),
    Capability.DEBIAN_12: lambda: _runs_clients(BOOKWORM),
    Capability.DEBIAN_13: lambda: _runs_clients(TRIXIE),
    Capability.TUMBLER: lambda: _asks(lambda empty, _: desktops.tumbler(empty, "normal", []) == []),
    Capability.GSETTINGS: lambda: _ends_well("gsettings", "get", *_GNOME_KEY),
    Capability.DCONF: _dconf_keeps,
    Capability.CORPUS: (corpus() / "camera").is_dir,
    Capability.FILE_MODES: lambda: _bound_by_modes(modes_count()),
    Capability.DEVICE_NODES: _makes_device_nodes,
    Capability.MOUNT: _mounts,
    Capability.STUCK_MOUNT: _mounts_with_fuse,
    Capability.SSHFS: _mounts_with_sshfs,
    Capability.TMUX: _tmux_works,
    Capability.SCRIPT: lambda: _ends_well("script", "-qec", "true", "/dev/null"),
    Capability.PRELOAD: _preloads,
    Capability.LIBFUZZER: _fuzzes,
    Capability.SANITIZERS: _sanitizes,
    Capability.AARCH64: lambda: (
        _ends_well("qemu-aarch64", "--version")
        and _compiles("aarch64-linux-gnu-gcc", b"int main(void) { return 0; }", "-static")
    ),
    Capability.OLDER_GCC: lambda: _ends_well("gcc-11", "--version"),
    Capability.IMAGEMAGICK: lambda: _ends_well("convert", "-size", "8x8", "xc:red", "MIFF:-"),
    Capability.GDK_PIXBUF: lambda: _ends_well(
        "/usr/bin/python3", "-Ic", "import gi; gi.require_version('GdkPixbuf', '2.0')"
    ),
    Capability.JXL_TOOLS: lambda: _ends_well("cjxl", "--version") and _ends_well("djxl", "-V"),
    Capability.AVIF_TOOLS: lambda: _ends_well("avifenc", "-V") and _ends_well("avifdec", "-V"),
    # They end with an error after their help.
    Capability.HEIF_TOOLS: lambda: bool(shutil.which("heif-enc") and shutil.which("heif-convert")),
    Capability.JP2_TOOLS: lambda: bool(
        shutil.which("opj_compress") and shutil.which("opj_decompress")
    ),
    Capability.FFMPEG: lambda: _ends_well("ffmpeg", "-version"),
    Capability.VALIDATORS: lambda: bool(
        shutil.which("desktop-file-validate")
        and shutil.which("xmllint")
        and _ends_well("appstreamcli", "--version")
    ),
    Capability.SYSTEMD: lambda: _ends_well("systemd-analyze", "--version"),
    Capability.CHROMIUM: lambda: browser.version() != "",
    Capability.SANDBOX: lambda: confinement.probe().complete,
    Capability.OPENSSL: lambda: _ends_well("openssl", "version"),
    Capability.JQ: lambda: _ends_well("jq", "-n", "1"),
}
