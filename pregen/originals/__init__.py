"""Where originals lie, and whether they are still there, without hanging and without guessing.

For verbs that meet originals from the cache's side: nobody promised that a path in an old entry
leads to a disk that is plugged in or to a server that answers.
"""
