"""What other people's programs show of a file, and how far an entry is from it."""

from __future__ import annotations

import io
import subprocess
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageCms

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

#: What an entry may differ by from another decoder's picture, as a mean.
LEVELS = 1.5


def run(*command: str | Path) -> bytes:
    """Run a program and return what it prints. Raises CalledProcessError."""
    return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout


def imagemagick(path: Path) -> Image.Image:
    """Decode by ImageMagick, upright, and bring it to sRGB by littleCMS."""
    return _in_srgb(run("convert", f"{path}[0]", "-auto-orient", "-depth", "8", "PNG32:-"))


def djxl(path: Path) -> Image.Image:
    """Decode by libjxl's own program, and bring it to sRGB by littleCMS."""
    shown = path.with_suffix(".png")
    run("djxl", path, shown, "--bits_per_sample=8")
    return _in_srgb(shown.read_bytes())


def _in_srgb(png: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(png))
    alpha = image.convert("RGBA").getchannel("A")
    mode = "L" if image.mode in {"L", "LA"} else "RGB"
    colours = image.convert(mode)
    if icc := image.info.get("icc_profile"):
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(icc)), ImageCms.createProfile("sRGB"), mode, "RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        )  # fmt: skip
        colours = ImageCms.applyTransform(colours, transform) or colours
    shown = colours.convert("RGB")
    shown.putalpha(alpha)
    return shown


def levels_apart(entry: NDArray[np.uint8], whole: Image.Image) -> tuple[float, float]:
    """Return the mean differences of the colours, weighed by alpha, and of the alpha.

    Args:
        entry: rows x columns x 4.
        whole: what it shows; reduced to the entry's size here.
    """
    height_px, width_px = entry.shape[:2]
    wanted = _reduced(np.asarray(whole.convert("RGBA"), np.float32), (width_px, height_px))
    alpha = wanted[..., 3:] / 255
    colours = np.abs(entry[..., :3] - wanted[..., :3]) * alpha
    weight = max(float(alpha.mean()), 0.02)
    return (
        float(colours.mean()) / weight,
        float(np.abs(entry[..., 3] - wanted[..., 3]).mean()),
    )


def _reduced(samples: NDArray[np.float32], size: tuple[int, int]) -> NDArray[Any]:
    alpha = samples[..., 3:] / 255
    planes = np.concatenate([samples[..., :3] * alpha, alpha], axis=-1)
    small = np.stack(
        [
            np.asarray(
                Image.fromarray(np.ascontiguousarray(planes[..., band])).resize(
                    size, Image.Resampling.LANCZOS
                )
            )
            for band in range(4)
        ],
        axis=-1,
    )
    cover = np.clip(small[..., 3:], 0, 1)
    colours = np.divide(small[..., :3], cover, out=np.zeros_like(small[..., :3]), where=cover > 0)
    return np.concatenate([np.clip(colours, 0, 255), cover * 255], axis=-1)
