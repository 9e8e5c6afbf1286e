"""For `pregen failures`: sources without a thumbnail, and why, from journal and fail records.

`model` joins the two and is pure; `gather` reads them.
"""
