"""pregen: fills the freedesktop thumbnail cache for whole photo libraries."""

__version__ = "0.1.0"
