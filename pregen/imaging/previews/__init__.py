"""Finds the smaller pictures that cameras store in their files. Decodes nothing.

Pure functions over a `SourceBytes`, which reads within the file only, and not without end. Whatever
a file says, nothing but `DamagedError` is raised.
"""
