"""Finds the smaller pictures that cameras store in their files. Decodes nothing.

Pure functions over a `SourceBytes`, which reads within the file only, and not without end. Of any
content, nothing but `DamagedError` is raised.
"""
