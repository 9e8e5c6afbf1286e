"""Breaks things on purpose: calls that fail, decoders that do harm, mounts that hang."""
