"""For `pregen failures`: sources without a thumbnail, and why, from journal and fail records.

`model` reads and joins the two.
"""
