"""Writes test/programs/fixtures: small copies of the photographs, and scikit-image's superpixels of them.

    python reference/vision/make_superpixels.py test/programs/fixtures
"""
import json
import pathlib
import sys

import numpy as np
import skimage
from PIL import Image
from skimage.segmentation import felzenszwalb, quickshift

NAMES = ["cat", "coffee", "flower", "palace", "rocket"]


def runs(labels):
    """Label and length of each run of equal labels, row by row."""
    flat = labels.ravel()
    starts = np.flatnonzero(np.r_[True, flat[1:] != flat[:-1]])
    return [int(v) for pair in zip(flat[starts], np.diff(np.r_[starts, flat.size])) for v in pair]


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    photographs = pathlib.Path(__file__).parents[2] / "zoo/photographs"
    found = {"skimage": skimage.__version__, "pictures": {}}
    for name in NAMES:
        picture = Image.open(photographs / f"{name}.jpg").convert("RGB").resize((96, 72), Image.BICUBIC)
        picture.info.clear()  # a colour profile would be applied by whoever reads the file
        picture.save(folder / f"{name}.png")
        x = np.asarray(picture) / 255
        found["pictures"][name] = {
            "felzenszwalb": runs(felzenszwalb(x, scale=100, sigma=0.5, min_size=50)),
            "quickshift": runs(quickshift(x, ratio=0.2, kernel_size=2, max_dist=200, rng=0)),
        }
    (folder / "superpixels.json").write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
