"""Finds the smaller pictures that cameras store in their files. Decodes nothing.

One module for each container; all are pure functions over a `layout.Source`, which reads within
the file only, and not without end. Whatever a file says, nothing but `layout.DamagedError` is
raised.
"""
