"""What a run shows: one state (`state`, `rate`), several printers (tty, plain, jsonl, quiet).

Nothing here decides anything about a run; a run without a printer would do the same work.
"""
