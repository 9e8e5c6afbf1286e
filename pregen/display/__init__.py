"""What a run shows: one state, several printers (tty, plain, quiet, jsonl).

Nothing here decides anything about a run; a run without a printer would do the same work.
"""
