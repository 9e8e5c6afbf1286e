"""Real vaults: made by the programs that people use, opened, locked."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pregen.filesystems import fscrypt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Opener = Callable[[Path, Path], None]

PASSWORD = b"correct horse\n"
#: <linux/fscrypt.h>
_ADD_KEY, _REMOVE_KEY, _SET_POLICY = 0xC0506617, 0xC0406618, 0x800C6613
_AES_256_XTS, _AES_256_CTS, _PAD_32 = 1, 4, 3
_BY_IDENTIFIER = 2


def _call(*command: str | Path, password: bytes = PASSWORD) -> None:
    env = {**os.environ, "CRYFS_FRONTEND": "noninteractive", "CRYFS_NO_UPDATE_CHECK": "true"}
    # CryFS takes its time beside a busy suite.
    subprocess.run(command, input=password, capture_output=True, env=env, timeout=400, check=True)


def _gocryptfs(hidden: Path, point: Path) -> None:
    if not (hidden / "gocryptfs.conf").exists():
        _call("gocryptfs", "-q", "-init", "-scryptn", "10", hidden, password=PASSWORD * 2)
    _call("gocryptfs", "-q", hidden, point)


def _encfs(hidden: Path, point: Path) -> None:
    _call("encfs", "--standard", "--stdinpass", hidden, point)


def _cryfs(hidden: Path, point: Path) -> None:
    _call("cryfs", "--cipher", "aes-256-gcm", hidden, point)


OPENERS: dict[str, Opener] = {"gocryptfs": _gocryptfs, "encfs": _encfs, "cryfs": _cryfs}


class Vault:
    """A vault of one of `OPENERS` in a folder; open from its making on."""

    def __init__(self, kind: str, folder: Path) -> None:
        self._kind = kind
        self._hidden = folder / "hidden"
        self.point = folder / "vault"
        for each in (self._hidden, self.point):
            each.mkdir(parents=True)
        self.open()

    def open(self) -> None:
        """Unlock it."""
        OPENERS[self._kind](self._hidden, self.point)

    def lock(self) -> None:
        """Lock it, if it is open."""
        if os.path.ismount(self.point):
            _call("fusermount", "-u", self.point)


@contextmanager
def vault(kind: str, folder: Path) -> Iterator[Vault]:
    """Have a vault, locked at the end."""
    made = Vault(kind, folder)
    try:
        yield made
    finally:
        made.lock()


def works(kind: str, folder: Path) -> bool:
    """Tell whether such a vault can be made here."""
    with vault(kind, folder) as made:
        (made.point / "a").write_bytes(b"x")
        return (made.point / "a").read_bytes() == b"x"


class EncryptedDisk:
    """An ext4 in a file, mounted, on which folders can be encrypted by the kernel."""

    def __init__(self, folder: Path) -> None:
        self.point = folder / "disk"
        self._identifier = b""
        self.point.mkdir(parents=True)
        image = folder / "disk.img"
        with image.open("wb") as file:
            file.truncate(32 << 20)
        _call("mkfs.ext4", "-q", "-O", "encrypt", image)
        _call("mount", "-o", "loop", image, self.point)

    def encrypt(self, name: str) -> Path:
        """Return an encrypted folder, open."""
        folder = self.point / name
        folder.mkdir()
        fd = os.open(self.point, os.O_RDONLY)
        try:
            argument = bytearray(
                struct.pack("<II32xII32x", _BY_IDENTIFIER, 0, 64, 0) + os.urandom(64)
            )
            fcntl.ioctl(fd, _ADD_KEY, argument)
        finally:
            os.close(fd)
        self._identifier = bytes(argument[8:24])
        fd = os.open(folder, os.O_RDONLY)
        try:
            head = bytes((2, _AES_256_XTS, _AES_256_CTS, _PAD_32, 0, 0, 0, 0))
            fcntl.ioctl(fd, _SET_POLICY, head + self._identifier)
        finally:
            os.close(fd)
        assert fscrypt.key_at(os.fsencode(folder)) == self._identifier
        return folder

    def lock(self) -> None:
        """Take the key away: the kernel shows scrambled names from then on."""
        fd = os.open(self.point, os.O_RDONLY)
        try:
            argument = struct.pack("<II32sI20x", _BY_IDENTIFIER, 0, self._identifier, 0)
            fcntl.ioctl(fd, _REMOVE_KEY, bytearray(argument))
        finally:
            os.close(fd)

    def close(self) -> None:
        """Unmount it."""
        _call("umount", self.point)


@contextmanager
def encrypted_disk(folder: Path) -> Iterator[EncryptedDisk]:
    """Have such a disk."""
    disk = EncryptedDisk(folder)
    try:
        yield disk
    finally:
        disk.close()


def encrypts(folder: Path) -> bool:
    """Tell whether the kernel encrypts folders here."""
    with encrypted_disk(folder) as disk:
        return disk.encrypt("a").is_dir()


@contextmanager
def luks(folder: Path) -> Iterator[tuple[Path, Callable[[], None]]]:
    """Have an ext4 on a LUKS device, mounted; also what locks it."""
    image, key, point = folder / "luks.img", folder / "key", folder / "luks"
    name = f"pregen-test-{os.getpid()}"
    point.mkdir(parents=True)
    key.write_bytes(PASSWORD)
    with image.open("wb") as file:
        file.truncate(48 << 20)
    quick = ("--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000")
    _call("cryptsetup", "luksFormat", "-q", *quick, "--key-file", key, image)
    _call("cryptsetup", "open", "--key-file", key, image, name)

    def lock() -> None:
        if os.path.ismount(point):
            _call("umount", point)
            _call("cryptsetup", "close", name)

    try:
        _call("mkfs.ext4", "-q", f"/dev/mapper/{name}")
        _call("mount", f"/dev/mapper/{name}", point)
        yield point, lock
    finally:
        lock()
