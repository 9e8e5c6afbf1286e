"""What is in a ZIP file, and one member of it, read without trust (PKWARE's APPNOTE 6.3.10).

The directory at the end says what there is; of the rest only the member that is asked for is read.
Numbers are believed within bounds: so many members, so large a directory, so large a member, all
within the file. Names are compared and never used as paths. What a member holds is not looked into
again, of any kind. What is wrong raises `DamagedError`, and nothing else.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.imaging.source_bytes import WHOLE_FILE_BYTES, DamagedError, EndsEarlyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pregen.imaging.source_bytes import SourceBytes

#: Signature, numbers of disks, members on this one and in all, size and place of the directory,
#: length of the comment (4.3.16).
_END: Final = struct.Struct("<4s4H2IH")
_END_MAGIC: Final = b"PK\5\6"
_MAX_COMMENT_BYTES: Final = 0xFFFF
#: Where the end of a file of 64 bits is (4.3.15), and what it says (4.3.14).
_LOCATOR: Final = struct.Struct("<4sIQI")
_LOCATOR_MAGIC: Final = b"PK\6\7"
_LARGE_END: Final = struct.Struct("<4sQ2H2I4Q")
_LARGE_END_MAGIC: Final = b"PK\6\6"
#: A member in the directory (4.3.12), and before its data (4.3.7).
_ENTRY: Final = struct.Struct("<4s6H3I5H2I")
_ENTRY_MAGIC: Final = b"PK\1\2"
_LOCAL: Final = struct.Struct("<4s5H3I2H")
LOCAL_MAGIC: Final = b"PK\3\4"
#: Values that stand for one in the extra field of 64 bits (4.5.3), and that field's number.
_ELSEWHERE_16: Final = 0xFFFF
_ELSEWHERE_32: Final = 0xFFFFFFFF
_LARGE_FIELD: Final = 1
_ENCRYPTED: Final = 0x1
_SIZES_BEHIND: Final = 0x8
_STORED, _DEFLATED = 0, 8

#: The fullest book at hand has 2,000; a comic as many as it has pages.
MAX_MEMBERS: Final = 20_000
_MAX_DIRECTORY_BYTES: Final = 4 * 1024 * 1024
#: Where the end of nearly all files lies, with that of 64 bits.
_USUAL_END_BYTES: Final = 1024
#: What a member has before its data beside its name: extra fields, which differ from those in the
#: directory. Read at once with the data.
_SLACK_BYTES: Final = 1024
#: Members that are looked at from the beginning of a file.
_MAX_FIRST_MEMBERS: Final = 64


class BeyondLimitsError(DamagedError):
    """It may be sound, but it is larger than is read here, or packed in another way."""


class ZipMember(NamedTuple):
    """One file in a ZIP file, as the directory tells it."""

    name: bytes
    """As it is stored."""
    flags: int
    method: int
    checksum: int
    packed_bytes: int
    size_bytes: int
    header_at: int
    end: int
    """What no member's data may pass: where the directory begins."""


class FirstMember(NamedTuple):
    """One file at the beginning of a ZIP file, as told there."""

    name: bytes
    content: bytes
    """As far as it is there; empty where it is compressed."""


def members(source: SourceBytes) -> list[ZipMember]:
    """Return the members that the directory lists, in its order.

    Raises:
        EndsEarlyError: there is no directory.
        BeyondLimitsError: it is larger than is read here.
        DamagedError: it contradicts itself.
        OSError: the file cannot be read.
    """
    begin, size_bytes, count = _directory(source)
    if count > MAX_MEMBERS or size_bytes > _MAX_DIRECTORY_BYTES:
        raise BeyondLimitsError(f"a ZIP file of {count:,} members is not supported")
    data = source.read_at(begin, size_bytes)
    found = []
    at = 0
    for _ in range(count):
        if at + _ENTRY.size > len(data):
            raise DamagedError("its directory ends early")
        (
            magic, _, _, flags, method, _, _, checksum, packed_bytes, member_bytes,
            name_bytes, extra_bytes, comment_bytes, _, _, _, header_at,
        ) = _ENTRY.unpack_from(data, at)  # fmt: skip
        name_at = at + _ENTRY.size
        extra_at = name_at + name_bytes
        at = extra_at + extra_bytes + comment_bytes
        if magic != _ENTRY_MAGIC or at > len(data):
            raise DamagedError("its directory is damaged")
        told = [member_bytes, packed_bytes, header_at]
        if _ELSEWHERE_32 in told:
            told = _large(data[extra_at : extra_at + extra_bytes], told)
        member_bytes, packed_bytes, header_at = told
        found.append(
            ZipMember(
                data[name_at:extra_at], flags, method, checksum, packed_bytes, member_bytes,
                header_at, begin,
            )
        )  # fmt: skip
    return found


def read(source: SourceBytes, member: ZipMember, limit_bytes: int = WHOLE_FILE_BYTES) -> bytes:
    """Return what is in a member.

    Args:
        source: the file that lists it.
        member: one of `members`.
        limit_bytes: more than this, packed or not, is not read.

    Raises:
        BeyondLimitsError: it is larger, encrypted, or compressed in another way than by Deflate.
        DamagedError: it is not what the directory says, or not whole.
        OSError: the file cannot be read.
    """
    if max(member.size_bytes, member.packed_bytes) > limit_bytes:
        raise BeyondLimitsError(f"a member of {member.size_bytes / 1e6:,.0f} MB is not supported")
    if member.flags & _ENCRYPTED:
        raise BeyondLimitsError("it is encrypted")
    if member.method not in {_STORED, _DEFLATED}:
        raise BeyondLimitsError(f"members of compression {member.method} are not supported")
    content = _packed(source, member)
    if member.method == _DEFLATED:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            content = inflater.decompress(content, member.size_bytes + 1)
        except zlib.error as error:
            raise DamagedError(f"a member does not inflate ({error})") from error
    if len(content) != member.size_bytes or zlib.crc32(content) != member.checksum:
        raise DamagedError("a member is not what the directory says")
    return content


def _packed(source: SourceBytes, member: ZipMember) -> bytes:
    """Return the bytes of a member as they are stored."""
    count = _LOCAL.size + len(member.name) + _SLACK_BYTES + member.packed_bytes
    data = source.read_at(member.header_at, min(count, max(0, member.end - member.header_at)))
    if len(data) < _LOCAL.size or not data.startswith(LOCAL_MAGIC):
        raise DamagedError("its directory points nowhere")
    name_bytes, extra_bytes = _LOCAL.unpack_from(data)[-2:]
    begin = _LOCAL.size + name_bytes + extra_bytes
    if data[_LOCAL.size : _LOCAL.size + name_bytes] != member.name:
        raise DamagedError("its directory names another member")
    end = begin + member.packed_bytes
    if member.header_at + end > member.end:
        raise DamagedError("a member passes into the directory")
    if end > len(data):
        data += source.read_at(member.header_at + len(data), end - len(data))
    return data[begin:end]


def first_members(head: bytes) -> Iterator[FirstMember]:
    """Yield the members at the beginning of a file, without its directory."""
    at = 0
    for _ in range(_MAX_FIRST_MEMBERS):
        if not head.startswith(LOCAL_MAGIC, at) or at + _LOCAL.size > len(head):
            return
        _, _, flags, method, *_, packed_bytes, _, name_bytes, extra_bytes = _LOCAL.unpack_from(
            head, at
        )
        name_at = at + _LOCAL.size
        begin = name_at + name_bytes + extra_bytes
        content = head[begin : begin + packed_bytes] if method == _STORED else b""
        yield FirstMember(head[name_at : name_at + name_bytes], content)
        at = begin + packed_bytes
        if flags & _SIZES_BEHIND and not packed_bytes:
            at = head.find(LOCAL_MAGIC, begin)
            if at < 0:
                return


def _directory(source: SourceBytes) -> tuple[int, int, int]:
    """Return place, size and count of members of the directory."""
    most = _END.size + _MAX_COMMENT_BYTES
    for count in (_USUAL_END_BYTES, most + _LOCATOR.size):
        begin = max(0, source.size_bytes - count)
        tail = source.read_at(begin, source.size_bytes - begin)
        at = tail.rfind(_END_MAGIC)
        if 0 <= at <= len(tail) - _END.size:
            break
    else:
        raise EndsEarlyError("the file ends before its directory")
    _, disk, first_disk, _, members_told, size_bytes, directory_at, _ = _END.unpack_from(tail, at)
    end = begin + at
    if _ELSEWHERE_16 in (disk, members_told) or _ELSEWHERE_32 in (size_bytes, directory_at):
        locator = source.read_at(max(0, end - _LOCATOR.size), _LOCATOR.size)
        if locator.startswith(_LOCATOR_MAGIC) and len(locator) == _LOCATOR.size:
            end = _LOCATOR.unpack(locator)[2]
            large = source.read_at(end, _LARGE_END.size)
            if len(large) < _LARGE_END.size or not large.startswith(_LARGE_END_MAGIC):
                raise DamagedError("its directory of 64 bits is damaged")
            *_, disk, first_disk, _, members_told, size_bytes, directory_at = _LARGE_END.unpack(
                large
            )
    if disk or first_disk:
        raise BeyondLimitsError("it is one of several parts")
    if directory_at + size_bytes > end:
        raise DamagedError("its directory lies elsewhere")
    if members_told * _ENTRY.size > size_bytes:
        raise DamagedError("its directory is too small for what it should list")
    return directory_at, size_bytes, members_told


def _large(extra: bytes, told: list[int]) -> list[int]:
    """Put in the numbers of 64 bits where those of 32 say that they are elsewhere."""
    at = 0
    while at + 4 <= len(extra):
        number, size_bytes = struct.unpack_from("<HH", extra, at)
        at += 4
        if number == _LARGE_FIELD:
            field = extra[at : at + size_bytes]
            wanted = [place for place, value in enumerate(told) if value == _ELSEWHERE_32]
            if len(field) < 8 * len(wanted):
                break
            for place, value in zip(
                wanted, struct.unpack_from(f"<{len(wanted)}Q", field), strict=True
            ):
                told[place] = value
            return told
        at += size_bytes
    raise DamagedError("a size of 64 bits is missing")
