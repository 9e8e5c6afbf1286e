"""From decoded pixels to what an entry shows: reduced, turned, in sRGB."""
