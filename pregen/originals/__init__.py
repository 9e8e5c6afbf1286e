"""Where originals lie, and whether they are still there, without hanging and without guessing.

For verbs that start from the cache: a path in an old entry may lead to a disk that is not plugged
in, or to a server that does not answer.
"""
