"""Makes the pictures of test/inputs/fixtures and what Pillow and transformers make of them.

Needs Python with pillow, numpy, torchvision and transformers 4.57. From the repository root:
python reference/inputs/images_reference.py
"""
import json
import pathlib

import numpy as np
import transformers
from PIL import Image
from torchvision import transforms

OUT = pathlib.Path("test/inputs/fixtures")
RESAMPLING = ["nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"]


def synthetic(width, height):
    """Gradients, a hard edge, stripes near the sampling limit, and seeded noise."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[0:height, 0:width]
    red = 255 * x / (width - 1)
    green = np.where((x // 3 + y // 2) % 2 == 0, 230, 20)
    blue = 127 + 90 * np.sin(x * y / 40)
    image = np.stack([red, green, blue], -1) + rng.integers(-20, 20, (height, width, 3))
    return Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))


PROCESSORS = {
    "vit": ("ViTImageProcessor", {"size": {"height": 12, "width": 12}, "resample": 2}),
    "vit-old-size": ("ViTImageProcessor", {"size": 10, "resample": 3}),
    "clip": (
        "CLIPImageProcessor",
        {"size": {"shortest_edge": 11}, "crop_size": {"height": 11, "width": 11}, "resample": 3, "do_convert_rgb": True},
    ),
    "convnext": ("ConvNextImageProcessor", {"size": {"shortest_edge": 14}, "crop_pct": 0.875, "resample": 3}),
    "convnext-384": ("ConvNextImageProcessor", {"size": {"shortest_edge": 384}, "resample": 2}),
    "efficientnet": (
        "EfficientNetImageProcessor",
        {"size": {"height": 13, "width": 13}, "resample": 0, "include_top": True, "do_center_crop": False},
    ),
    "deit": (
        "DeiTImageProcessor",
        {"size": {"height": 16, "width": 16}, "crop_size": {"height": 14, "width": 14}, "resample": 3},
    ),
    "padded-crop": (
        "CLIPImageProcessor",
        {"size": {"shortest_edge": 8}, "crop_size": {"height": 13, "width": 13}, "resample": 2},
    ),
    "offset": (
        "EfficientNetImageProcessor",
        {
            "size": {"height": 12, "width": 12},
            "resample": 2,
            "rescale_factor": 1 / 127.5,
            "rescale_offset": True,
            "do_normalize": False,
            "include_top": False,
        },
    ),
}


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    image = synthetic(67, 45)
    image.save(OUT / "synthetic.png", optimize=True)
    # Reduced, reduced unevenly, and reduced then enlarged. All of them rows first in every Pillow: Pillow 13 goes down the
    # columns first where 2 (W - w) < H - h and h < H (found by trying), earlier ones never do.
    resized = {}
    for index, name in enumerate(RESAMPLING):
        for sizes in [[(9, 7)], [(30, 11)], [(9, 7), (14, 10)]]:
            small = image
            for size in sizes:
                small = small.resize(size, index)
            title = " ".join([name, *(f"{w}x{h}" for w, h in sizes)])
            resized[title] = np.asarray(small).ravel().tolist()
    processed = {}
    for name, (kind, options) in PROCESSORS.items():
        processor = getattr(transformers, kind)(**options)
        pixels = processor(image, return_tensors="np")["pixel_values"]
        config = {k: v for k, v in json.loads(processor.to_json_string()).items() if v is not None}
        flat = pixels.ravel()
        step = max(1, flat.size // 600)
        processed[name] = {
            "config": config,
            "dims": list(pixels.shape),
            "step": step,
            "data": [round(float(v), 6) for v in flat[::step]],
        }
    timm = {"input_size": [3, 12, 12], "interpolation": "bicubic", "crop_pct": 0.9, "mean": [0.5, 0.5, 0.5], "std": [0.4, 0.5, 0.6]}
    steps = transforms.Compose(
        [
            transforms.Resize(int(12 / 0.9), transforms.InterpolationMode.BICUBIC),
            transforms.CenterCrop(12),
            transforms.ToTensor(),
            transforms.Normalize(timm["mean"], timm["std"]),
        ]
    )
    pixels = steps(image).numpy()
    processed["timm"] = {
        "config": {"pretrained_cfg": timm},
        "dims": [1, *pixels.shape],
        "step": 1,
        "data": [round(float(v), 6) for v in pixels.ravel()],
    }
    path = OUT / "images.json"
    path.write_text(json.dumps({"resized": resized, "processed": processed}, separators=(",", ":")) + "\n")
    print(path, path.stat().st_size, (OUT / "synthetic.png").stat().st_size)


main()
