"""The manual as a site: `scripts/docs` builds it, with warnings as errors and without a network."""

from __future__ import annotations

from pregen import __version__

project = "pregen"
author = "The pregen developers"
release = __version__
extensions = ["myst_parser"]
html_theme = "furo"
html_title = f"pregen {__version__}"
html_show_copyright = False
html_static_path = ["_static"]
html_css_files = ["tables.css"]
# Links to headings: as code hosts show these pages, too.
myst_heading_anchors = 3
nitpicky = True
# The index of decisions links to each of them.
suppress_warnings = ["toc.not_included"]
