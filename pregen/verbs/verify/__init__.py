"""What `pregen verify` does: tell every entry that is not as it should be, and why.

`anatomy` takes a PNG apart without the code that wrote it; `rules` decides and is pure; `checker`
looks, finds whose an entry is that cannot say so, and clears the way for a run to make it again.
"""
