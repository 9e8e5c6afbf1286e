"""Decoders that are asked for a second opinion: one module for each library. No run needs them."""
