"""What `pregen clean` does: choose entries by reason, and delete them.

`selection` decides and is pure; `cleaner` looks and deletes.
"""
