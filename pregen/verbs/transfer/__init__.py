"""Entries on their way between caches and archives."""
