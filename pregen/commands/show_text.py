"""What the cache knows of one file, for people. Pure but for the local time zone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pregen.progress import units
from pregen.progress.text import printable, shown
from pregen.progress.words import WORDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pregen.commands.inspection import EntryFacts, FileFacts, UriFacts

_COLOURS = {"fresh": "green", "refit": "yellow", "unknown": "yellow"}
#: PNG, 11.2.2.
_COLOR_TYPES = {0: "grey", 2: "RGB", 3: "palette", 4: "grey with alpha", 6: "RGBA"}


def file_lines(facts: FileFacts) -> Iterator[str]:
    """Yield what a person sees of one file. Names are escaped, URIs are ASCII anyway."""
    yield click.style(shown(facts.path), bold=True)
    if facts.source is None:
        yield click.style(f"  {facts.trouble}", fg="red")
    else:
        size = units.count(facts.source.size_bytes)
        yield f"  {size} bytes, changed {units.moment(facts.source.mtime_ns)}"
        if facts.memory is not None:
            words = WORDS[facts.memory]
            why = f": {words.meaning}" if words.meaning else ""
            yield f"  remembered from an earlier run as {words.label}{why}"
    for uri in (*facts.uris, *facts.shared):
        yield ""
        yield from _uri_lines(uri)


def _uri_lines(facts: UriFacts) -> Iterator[str]:
    form = f" ({facts.form})" if facts.form else ""
    yield f"  URI  {facts.uri}{form}"
    yield f"  key  {facts.key}"
    for entry in facts.entries:
        yield from _entry_lines(entry, entry.flavor.directory if entry.flavor else "")
    for record in facts.fail_records:
        yield from _entry_lines(record, f"fail record of {record.program}")
    if not facts.entries and not facts.fail_records:
        yield click.style("    no entry of any flavor, no fail record", dim=True)


def _entry_lines(entry: EntryFacts, title: str) -> Iterator[str]:

    verdict = click.style(entry.verdict, fg=_COLOURS.get(entry.verdict, "red"))
    why = f": {printable(entry.reason)}" if entry.reason else ""
    yield ""
    yield f"    {click.style(printable(title), bold=True)}  {verdict}{why}"
    yield f"      {shown(entry.path)}"
    if entry.head is None:
        yield f"      {units.size(entry.size_bytes)}, no PNG that can be read"
        return
    head = entry.head
    interlaced = ", interlaced" if head.interlaced else ""
    yield (
        f"      {head.width_px}x{head.height_px}, {units.size(entry.size_bytes)}, "
        f"{head.bit_depth}-bit {_COLOR_TYPES.get(head.color_type, 'unknown')}{interlaced}"
    )
    width = max((len(text.key) for text in head.texts), default=0)
    for text in head.texts:
        late = "" if text.before_image else "  (behind the picture)"
        yield f"      {text.kind} {printable(text.key):<{width}}  {printable(text.value)}{late}"
    yield from _desktop_lines(entry)


def _desktop_lines(entry: EntryFacts) -> Iterator[str]:

    width = max((len(desktop.client) for desktop in entry.desktops), default=0)
    for desktop in entry.desktops:
        if not desktop.looks_here:
            said = click.style(f"does not look here: {printable(desktop.reason)}", dim=True)
        elif desktop.accepts:
            said = click.style("accepts it", fg="green")
        else:
            said = click.style(f"refuses it: {printable(desktop.reason)}", fg="red")
        yield f"      {desktop.client:<{width}}  {said}"
