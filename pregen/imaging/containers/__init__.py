"""How files are built: JPEG segments, TIFF directories, ISO boxes. Read within bounds."""
