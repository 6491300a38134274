"""Makes zoo/photographs: a few natural photographs with free licences, as JPEG.

    python zoo/build/photographs.py --out zoo/photographs
"""

import argparse
import io
from importlib import resources
from pathlib import Path

from PIL import Image

# (file here, package, file in the package). Licences: zoo/photographs/README.md.
SOURCES = [
    ("cat.jpg", "skimage.data", "chelsea.png"),
    ("coffee.jpg", "skimage.data", "coffee.png"),
    ("rocket.jpg", "skimage.data", "rocket.jpg"),
    ("cameraman.jpg", "skimage.data", "camera.png"),
    ("palace.jpg", "sklearn.datasets.images", "china.jpg"),
    ("flower.jpg", "sklearn.datasets.images", "flower.jpg"),
]


def write_photograph(package: str, name: str, target: Path) -> None:
    content = resources.files(package).joinpath(name).read_bytes()
    if name.endswith(".jpg"):
        # Already JPEG: the same bytes, since encoding again would only lose detail.
        target.write_bytes(content)
        return
    Image.open(io.BytesIO(content)).save(target, quality=92, subsampling=0, optimize=True)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--out", type=Path, required=True)
    out: Path = arguments.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    for target, package, name in SOURCES:
        write_photograph(package, name, out / target)


if __name__ == "__main__":
    main()
