"""Where the files are that lie beside the package in a checkout: gunicorn.conf.py and swagger/."""

from __future__ import annotations

import sysconfig
from pathlib import Path

# Beside the package in a checkout; where an installed package has them (setup.py, data_files).
_FOLDERS = (Path(__file__).parent.parent, Path(sysconfig.get_path("data")) / "share" / "mtango-gevent")


def find(name: str) -> Path:
    """The path of the file `name`, relative to the checkout's root. Raises FileNotFoundError."""
    for folder in _FOLDERS:
        path = folder / name
        if path.is_file():
            return path
    raise FileNotFoundError(f"{name} is neither in {_FOLDERS[0]} nor in {_FOLDERS[1]}")
