"""KDE: the limits of `[PreviewSettings]` hold before the cache is asked (KIO 5.103, KF6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pregen.display import text
from pregen.verbs.doctor.findings import Finding, Severity, remote_example, share

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pregen.verbs.doctor.facts import Kde, MachineFacts

#: More than any picture has.
_PLENTY_BYTES: Final = 10 * 1024**3
#: Without them JPEGs, and all other pictures, show no thumbnail, cached or not.
_PICTURE_PLUGINS: Final = ("imagethumbnail", "jpegthumbnail")


def previews(facts: MachineFacts) -> Iterator[Finding]:
    """Yield the limits by size and by place."""
    if facts.kde is None:
        return
    kde, remote = facts.kde, remote_example(facts)
    if remote and not kde.maximum_remote_size_bytes:
        yield Finding(
            Severity.PROBLEM,
            "kde-maximum-remote-size",
            "KDE",
            f"Dolphin shows no thumbnails of files on a network, and {remote}.",
            (_set(kde, "MaximumRemoteSize", str(_PLENTY_BYTES)),),
        )
    elif remote:
        yield from _over(facts, kde, kde.maximum_remote_size_bytes, "MaximumRemoteSize")
    yield from _over(facts, kde, kde.maximum_size_bytes, "MaximumSize")
    if remote and not kde.remote_folders:
        yield Finding(
            Severity.NOTE,
            "kde-remote-folders",
            "KDE",
            "Dolphin shows plain icons for folders on a network, whatever is in them.",
            (_set(kde, "EnableRemoteFolderThumbnail", "true"),),
        )


def _over(facts: MachineFacts, kde: Kde, limit_bytes: int | None, key: str) -> Iterator[Finding]:
    if not limit_bytes:
        return
    wanted = [source for source in facts.sources if source.remote == (key == "MaximumRemoteSize")]
    over = sum(source.size_bytes > limit_bytes for source in wanted)
    if over:
        where = "on a network" if key == "MaximumRemoteSize" else "on this machine"
        yield Finding(
            Severity.PROBLEM,
            "kde-maximum-remote-size" if key == "MaximumRemoteSize" else "kde-maximum-size",
            "KDE",
            f"Dolphin shows no thumbnails of files {where} beyond {text.size(limit_bytes)}, as "
            f"{share(over, len(wanted))} of yours are.",
            (_set(kde, key, str(_PLENTY_BYTES)),),
        )


def plugins(facts: MachineFacts) -> Iterator[Finding]:
    """Yield that pictures are not among what is previewed."""
    kde = facts.kde
    if kde is None or kde.plugins is None:
        return
    absent = [name for name in _PICTURE_PLUGINS if name not in kde.plugins]
    if absent:
        names = ",".join([*kde.plugins, *absent])
        yield Finding(
            Severity.PROBLEM,
            "kde-plugins",
            "KDE",
            f"Dolphin's preview of {' and '.join(absent)} is switched off, so pictures show no "
            "thumbnail, made or not.",
            (_set(kde, "Plugins", f"'{names}'", kde.plugins_file),),
        )


def _set(kde: Kde, key: str, value: str, file: str = "kdeglobals") -> str:
    return f"{kde.writer} --file {file} --group PreviewSettings --key {key} {value}"
