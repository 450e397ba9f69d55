"""Where downloaded models lie on this machine, and whether they are still what they were."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from platformdirs import user_cache_path

from bigcell.core.errors import ModelError
from bigcell.core.format import command
from bigcell.core.paths import local_path
from bigcell.networks.catalogue import Entry, RemoteFile


def cache_folder() -> Path:
    """Where models are downloaded to: $BIGCELL_MODELS, or "models" in this system's cache of bigcell."""
    given = os.environ.get("BIGCELL_MODELS")
    return local_path(given) if given else user_cache_path("bigcell", appauthor=False) / "models"


def cellpose_folder() -> Path:
    """Where Cellpose keeps its models; what lies there is used, and nothing is written there."""
    given = os.environ.get("CELLPOSE_LOCAL_MODELS_PATH")
    return local_path(given) if given else Path.home() / ".cellpose" / "models"


def locate(file: RemoteFile) -> Path | None:
    """The file on this machine, or None: our own cache first, then Cellpose's."""
    places = (folder / file.name for folder in (cache_folder(), cellpose_folder()))
    return next((place for place in places if place.is_file()), None)


def record(path: Path) -> Path:
    """Where the SHA-256 of a downloaded file is written down, as ``sha256sum`` writes it."""
    return path.with_name(path.name + ".sha256")


def recorded_sha256(path: Path) -> str:
    """The SHA-256 written beside the file, or "" where there is none."""
    try:
        words = record(path).read_text("ascii").split()
    except (OSError, ValueError):
        return ""
    return words[0].lower() if words and len(words[0]) == 64 else ""


def check_sha256(file: RemoteFile, path: Path, found: str) -> None:
    """ModelError where the file at `path`, of SHA-256 `found`, is not what was published or first fetched."""
    published, first = file.sha256, recorded_sha256(path)
    for wanted, whose in ((published, "published"), (first, "that of the first download")):
        if wanted and wanted != found:
            raise ModelError(
                f"{path} has SHA-256 {found[:12]}, {whose} is {wanted[:12]}: it is damaged, or another file has taken "
                f"its name. Remove it (and {record(path).name}) and fetch it again; if you trust it, copy it elsewhere "
                "and give its path"
            )


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def missing(entry: Entry, file: RemoteFile) -> ModelError:
    """What to say where a published model is not on this machine."""
    return ModelError(
        f"{file.name} of model {entry.name!r} is not on this machine (looked in {cache_folder()} and "
        f"{cellpose_folder()}): run `{command('models fetch', entry.name)}`"
    )
