"""`pregen bench`: how fast pictures of this collection become entries on this machine, and why.

    walk -> sample (by extension and size) -> passes of the real engine into a scratch cache
         -> runs of the whole program over the same sample -> what the whole library would take

It never opens the user's cache, and keeps nothing but what it reports. The real work of real
workers is measured; nothing here decodes, and nothing here is used by a run.
"""
