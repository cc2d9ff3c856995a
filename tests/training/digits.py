"""The embedded data set: 28x28 digits for a machine that has neither MNIST nor a network.

Pillow's own font is drawn under seeded distortions, and handed out as IDX files, the format of
MNIST, so that torchvision's loader reads them like the real ones. The same Pillow and NumPy make
the same files.
"""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from tests.training.idx import encode

with suppress(ImportError):  # then torchvision is missing as well, and MNIST is left out
    from PIL import Image, ImageDraw, ImageFont

SIDE = 28  # of an image, as in MNIST
GLYPH = 56  # side of a glyph before it is distorted and shrunk
STROKES = (0, 1, 2)  # pixels by which a glyph's outline is thickened


def idx_files(train: int = 12_000, test: int = 2_000, seed: int = 0) -> dict[str, bytes]:
    """Draw `train` and `test` digits; return the four IDX files under MNIST's names."""
    rng = np.random.default_rng(seed)
    glyphs = [[_glyph(digit, stroke) for stroke in STROKES] for digit in range(10)]
    files = {}
    for name, count in ("train", train), ("t10k", test):
        labels = rng.integers(0, 10, count, dtype=np.uint8)
        files[f"{name}-images-idx3-ubyte"] = encode(_draw(glyphs, labels, rng))
        files[f"{name}-labels-idx1-ubyte"] = encode(labels)
    return files


def _glyph(digit: int, stroke: int) -> Image.Image:
    """One digit, white on black, in the middle of a square of side GLYPH."""
    image = Image.new("L", (GLYPH, GLYPH))
    font = ImageFont.load_default(size=64)
    middle = (GLYPH / 2, GLYPH / 2)
    ImageDraw.Draw(image).text(
        middle, str(digit), fill=255, font=font, anchor="mm", stroke_width=stroke
    )
    return image


def _draw(
    glyphs: list[list[Image.Image]], labels: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """One distorted image per label: stroke, rotation, shear, scale, shift, contrast and noise."""
    count = len(labels)
    stroke = rng.integers(0, len(STROKES), count)
    angle = rng.normal(0, 0.2, count)
    shear = rng.normal(0, 0.2, count)
    scale = GLYPH / SIDE / rng.uniform(0.85, 1.1, (2, count))
    shift = rng.uniform(-1.5, 1.5, (2, count))

    # Image.transform asks, for every pixel of the result, where in the glyph it comes from:
    # x = a*column + b*row + c and y = d*column + e*row + f, the middle on the shifted middle.
    a = scale[0] * (np.cos(angle) + shear * np.sin(angle))
    b = scale[0] * (shear * np.cos(angle) - np.sin(angle))
    d = scale[1] * np.sin(angle)
    e = scale[1] * np.cos(angle)
    column, row = SIDE / 2 + shift
    c = GLYPH / 2 - a * column - b * row
    f = GLYPH / 2 - d * column - e * row

    images = np.empty((count, SIDE, SIDE), np.float32)
    for i, affine in enumerate(np.stack([a, b, c, d, e, f], axis=1).tolist()):
        glyph = glyphs[labels[i]][stroke[i]]
        images[i] = glyph.transform(
            (SIDE, SIDE), Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR
        )
    images *= rng.uniform(0.5, 1, (count, 1, 1)).astype(np.float32)
    images += 20 * rng.standard_normal(images.shape, np.float32)
    return images.clip(0, 255).astype(np.uint8)
