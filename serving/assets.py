"""Files that pages load: style, scripts and images, read once and answered from memory."""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response


@dataclass(frozen=True, slots=True)
class Asset:
    """One file: its bytes, media type, and a tag that changes with the bytes."""

    content: bytes
    media_type: str
    tag: str

    @classmethod
    def of(cls, name: str, content: bytes) -> Asset:
        """Make an asset whose media type follows from its name."""
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        # The platform's table may say either; browsers refuse a script of a type that is no script.
        kind = "text/javascript" if name.endswith(".js") else kind
        return cls(content, kind, f'"{hashlib.sha256(content).hexdigest()[:16]}"')

    def respond(self, request: Request) -> Response:
        """Answer with the file, or with 304 when the client has it."""
        headers = {"etag": self.tag, "cache-control": "no-cache"}
        if request.headers.get("if-none-match") == self.tag:
            return Response(status_code=304, headers=headers)
        return Response(self.content, headers=headers, media_type=self.media_type)


def read_assets(folder: Path, names: Iterable[str] | None = None) -> Mapping[str, Asset]:
    """Read the files of a folder, or those named, by their path below it.

    A folder that is not there is empty. The names are a closed list made at the start, so no request can
    reach another file.
    """
    files = [folder / name for name in names] if names is not None else sorted(folder.rglob("*"))
    found = [file for file in files if file.is_file() and not file.name.startswith(".")]
    return {file.relative_to(folder).as_posix(): Asset.of(file.name, file.read_bytes()) for file in found}
