"""From an open source to pictures and PNG bytes; alone may import the picture libraries."""
