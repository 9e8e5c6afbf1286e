"""What the cache knows of one file, for `--json`. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pregen.progress.records import VERSION, path_fields

if TYPE_CHECKING:
    from pregen.commands.inspection import EntryFacts, FileFacts, UriFacts


def file_record(facts: FileFacts) -> dict[str, Any]:
    """Return the object of one file."""
    source = facts.source
    return {
        "v": VERSION,
        "type": "file",
        **path_fields(facts.path),
        "source": source and {"size": source.size_bytes, "mtime_ns": source.mtime_ns},
        "trouble": facts.trouble or None,
        "remembered": facts.memory and facts.memory.value,
        "uris": [_uri_record(uri) for uri in facts.uris],
        "shared": [_uri_record(uri) for uri in facts.shared],
    }


def _uri_record(uri: UriFacts) -> dict[str, Any]:
    return {
        "uri": uri.uri,
        "key": uri.key,
        "form": uri.form,
        "entries": [_entry_record(entry) for entry in uri.entries],
        "fail_records": [_entry_record(record) for record in uri.fail_records],
    }


def _entry_record(entry: EntryFacts) -> dict[str, Any]:

    place = {"flavor": entry.flavor.directory} if entry.flavor else {"program": entry.program}
    head = entry.head
    return {
        **place,
        **path_fields(entry.path),
        "size": entry.size_bytes,
        "verdict": entry.verdict,
        "reason": entry.reason,
        "width": head and head.width_px,
        "height": head and head.height_px,
        "bit_depth": head and head.bit_depth,
        "color_type": head and head.color_type,
        "interlaced": head and head.interlaced,
        "texts": [
            {
                "kind": str(text.kind),
                "key": text.key,
                "value": text.value,
                "before_image": text.before_image,
            }
            for text in (head.texts if head else ())
        ],
        "desktops": [
            {
                "client": desktop.client,
                "accepts": desktop.accepts,
                "looks_here": desktop.looks_here,
                "reason": desktop.reason,
            }
            for desktop in entry.desktops
        ],
    }
