"""Where locked vaults are: what programs' settings say, what the journal has met, what is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pregen.journal import Journal
from pregen.originals.mounts import parse_fstab
from pregen.originals.vaults import (
    PrivatePlaces,
    declared_in_cryptomator,
    declared_in_fstab,
    declared_in_pam_mount,
    declared_in_plasma,
)

if TYPE_CHECKING:
    from pathlib import Path

HOME = b"/home/u"
PLASMA = b"""[EncryptedDevices]
/home/u/.local/share/plasma-vault/A.enc=true

[/home/u/.local/share/plasma-vault/A.enc]
backend=gocryptfs
mountPoint=/home/u/Vaults/A b
name=A b

[/home/u/.local/share/plasma-vault/B.enc]
mountPoint[$e]=$HOME/Vaults/B
offlineOnly=false
"""
PAM = b"""<pam_mount>
<!-- <volume fstype="crypt" path="/dev/x" mountpoint="/commented" /> -->
<volume user="u" fstype="crypt" path="/dev/sdb1" mountpoint="~/disk" />
<volume fstype='fuse' path='gocryptfs#/home/%(USER)/.c' mountpoint='/home/%(USER)/open' />
<volume fstype="cifs" server="nas" path="photos" mountpoint="~/nas" />
<volume fstype="ecryptfs" path="/x" mountpoint="/%(DOMAIN)/y" />
</pam_mount>"""
FSTAB = b"""/dev/mapper/data /data ext4 noauto 0 0
/dev/mapper/vg-home /home2 ext4 defaults 0 0
gocryptfs#/srv/c /srv/open fuse noauto 0 0
/srv/e /srv/private ecryptfs noauto 0 0
encfs#/a /b\\040c fuse noauto 0 0
nas:/p /mnt/p nfs noauto 0 0
/srv/g /srv/g2 fuse.gocryptfs noauto 0 0
"""


def test_settings_of_programs() -> None:
    assert [*declared_in_plasma(PLASMA, HOME)] == [b"/home/u/Vaults/A b", b"/home/u/Vaults/B"]
    assert [*declared_in_pam_mount(PAM, HOME)] == [b"/home/u/disk", b"/home/u/open"]
    fstab = parse_fstab(FSTAB)
    crypttab = b"# name device\ndata UUID=1 none luks\nswap /dev/x\n"
    found = {*declared_in_fstab(fstab, crypttab)}
    assert found == {b"/data", b"/srv/open", b"/srv/private", b"/b c", b"/srv/g2"}
    settings = b'{"directories": [{"path": "/v", "mountPoint": "/home/u/open"}, {"x": null}]}'
    assert [*declared_in_cryptomator(settings, HOME)] == [b"/home/u/open"]
    assert [*declared_in_plasma(b"\xff\0mountPoint=relative\n", HOME)] == []


def test_places_cover_what_is_below(tmp_path: Path) -> None:
    cache = bytes(tmp_path / "cache")
    met = {b"/met/x", b"/pics/link.jpg"}
    places = PrivatePlaces(cache, [b"/vaults/a"], met.__contains__, [b"/named"])
    assert places.place_of(b"/vaults/a/b/c.jpg") == b"/vaults/a"
    assert places.place_of(b"/vaults/ab/c.jpg") is None
    assert places.place_of(b"/met/x/y.jpg") == b"/met/x"
    assert places.place_of(b"/met/y.jpg") is None
    assert places.place_of(b"/pics/link.jpg") == b"/pics/link.jpg"
    assert places.place_of(b"/pics/other.jpg") is None
    assert places.place_of(b"/named/y/z.jpg") == b"/named"
    assert places.place_of(b"/z.jpg") is None


def test_the_journal_knows_vaults_without_their_names(tmp_path: Path) -> None:
    path = bytes(tmp_path / "state" / "journal.sqlite3")
    journal = Journal.open(path, print)
    journal.note_vaults({b"/media/u/affidavits"})
    journal.close()
    journal = Journal.open(path, print)
    memory = journal.vaults()
    assert memory.holds(b"/media/u/affidavits")
    assert not memory.holds(b"/media/u")
    assert not memory.holds(b"/media/u/affidavits/x")
    journal.close()
    for file in (tmp_path / "state").iterdir():
        assert b"affidavit" not in file.read_bytes()
