"""Static files of pages, at URLs that name their contents: browsers keep them for ever, and a new version has new URLs.

All files of a page are one build, so that its modules import each other by relative URLs.
"""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import re
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import TYPE_CHECKING

from flask import Response, request

if TYPE_CHECKING:
    from importlib.abc import Traversable

# Files of other types are not served.
_TYPES = {
    "css": "text/css",
    "js": "text/javascript",
    "png": "image/png",
    "svg": "image/svg+xml",
    "txt": "text/plain",
}

# Comments, indentation and empty lines: an eighth of what a page loads. No text in these files, such as a template, has
# lines that begin like a comment, or needs the spaces before them, or has " // " behind the end of a statement.
_COMMENTS_AND_INDENTATION = re.compile(rb"^\s*/\*(?s:.*?)\*/[ \t]*\n|^\s*//.*\n|^\s+|(?<=[;{,)]) // .*", re.MULTILINE)

# Spaces in style sheets that mean nothing.
_SPACES = re.compile(rb"(?<=[:;,{}]) | (?=[{}])")

FOR_EVER, NOT_KEPT, CHECKED = "public, max-age=31536000, immutable", "no-store", "no-cache"


@dataclasses.dataclass(frozen=True)
class StaticFile:
    """The content of a file, plain and compressed."""

    mimetype: str
    content: bytes
    compressed: bytes
    etag: str

    @classmethod
    def of(cls, mimetype: str, content: bytes) -> StaticFile:
        """Compress a content."""
        return cls(mimetype, content, gzip.compress(content, mtime=0), hashlib.sha256(content).hexdigest()[:16])

    @classmethod
    def read(cls, file: Traversable, is_own: bool) -> StaticFile:
        """Read a file. is_own: whether it is served without comments and indentation."""
        content = file.read_bytes()
        if is_own:
            content = _COMMENTS_AND_INDENTATION.sub(b"", content)
            content = _SPACES.sub(b"", content) if _suffix(file) == "css" else content
        return cls.of(_TYPES[_suffix(file)], content)

    def answer(self, caching: str) -> Response:
        """Return the response to the current request, a 304 where the client has the file. caching: Cache-Control."""
        is_compressed = request.accept_encodings["gzip"] > 0
        response = Response(self.compressed if is_compressed else self.content, mimetype=self.mimetype)
        if is_compressed:
            response.headers["Content-Encoding"] = "gzip"
        response.headers.update({"Cache-Control": caching, "Vary": "Accept-Encoding"})
        response.set_etag(f"{self.etag}-gzip" if is_compressed else self.etag)
        response.make_conditional(request)
        return response


@dataclasses.dataclass(frozen=True)
class Build:
    """The static files of a page by their paths. name: a hash of all of them."""

    name: str
    files: Mapping[str, StaticFile]

    @classmethod
    def load(cls, package: str, folder: str, vendored: str = "") -> Build:
        """Read and compress the files of a folder of a package. Call it in a thread.

        vendored: how the paths of files begin that are served as they are; empty for all.
        """
        files = {
            path: StaticFile.read(file, is_own=not path.startswith(vendored) and _suffix(file) in ("css", "js"))
            for path, file in sorted(_walk(resources.files(package) / folder))
        }
        text = "".join(f"{path} {file.etag}\n" for path, file in files.items())
        return cls(hashlib.sha256(text.encode()).hexdigest()[:12], files)


def _walk(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        elif _suffix(entry) in _TYPES:
            yield prefix + entry.name, entry


def _suffix(file: Traversable) -> str:
    return file.name.rpartition(".")[2]
