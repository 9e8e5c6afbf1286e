"""One module per decoding library."""
