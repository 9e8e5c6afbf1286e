"""Builders of files and folders: pictures of every format, sound, broken or built to hurt."""
