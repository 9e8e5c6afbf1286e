"""Gather facts. Reads only; what cannot be read is not known, and no finding comes of it.

Settings are asked of the desktop's own tool where there is one, with a time-out (without a session
bus some of them wait for one), and read from its files where there is none.
"""
