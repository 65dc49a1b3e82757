"""Lend a fresh environment what a wheel declares: ``python packaging/lend.py WHEEL SITE_PACKAGES``.

What the wheel requires, and what that requires in turn, is linked from the environment that runs this, if it is installed
there in the pinned version. Nothing else is lent, so that a requirement that the wheel forgets is missing there; pip then
installs the wheel as ever, checks what was lent, and fetches the rest. It spares unpacking and compiling gigabytes.
"""

import sys
from collections import defaultdict
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path
from zipfile import ZipFile

from packaging.metadata import parse_email
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

#: What a fresh environment brings itself, and pip replaces.
_ITS_OWN = {"pip", "setuptools"}


def required_by(wheel: Path) -> list[Requirement]:
    """What a wheel's metadata require without extras."""
    with ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        raw, _ = parse_email(archive.read(name))
    return [Requirement(line) for line in raw.get("requires_dist", ())]


def pins(constraints: Path) -> dict[str, SpecifierSet]:
    """Canonical name -> version of every pinned distribution."""
    lines = (line.partition("#")[0].strip() for line in constraints.read_text(encoding="utf-8").splitlines())
    pinned = [Requirement(line) for line in lines if line]
    return {canonicalize_name(each.name): each.specifier for each in pinned}


def closure(requirements: list[Requirement], pinned: dict[str, SpecifierSet]) -> dict[str, Distribution]:
    """Installed distributions in the pinned version that requirements lead to, by canonical name."""
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, str]] = set()
    left = [(requirement, "") for requirement in requirements]
    while left:
        requirement, extra = left.pop()
        name = canonicalize_name(requirement.name)
        if name in _ITS_OWN or (requirement.marker is not None and not requirement.marker.evaluate({"extra": extra})):
            continue
        try:
            installed = distribution(name)
        except PackageNotFoundError:
            continue
        if name not in pinned or not pinned[name].contains(installed.version, prereleases=True):
            continue
        found[name] = installed
        for wanted in ("", *requirement.extras):
            if (name, wanted) not in seen:
                seen.add((name, wanted))
                left += [(Requirement(line), wanted) for line in installed.requires or ()]
    return found


def links(lent: dict[str, Distribution]) -> Iterator[tuple[Path, Path]]:
    """Source and place under site-packages of whatever is linked: whole folders where nobody else has a part in them."""
    owners = defaultdict(set)
    for each in distributions():
        name = canonicalize_name(each.metadata["Name"])
        for top in _tops(each):
            owners[top].add(name)
    for each in lent.values():
        for top, files in _tops(each).items():
            places = [Path(top)] if owners[top] <= lent.keys() else files
            yield from ((Path(str(each.locate_file(place))), place) for place in places)


def _tops(each: Distribution) -> dict[str, list[Path]]:
    """First part of a path -> files, without commands, which the wheel needs none of, and what Python compiles by itself."""
    found = defaultdict(list)
    for file in each.files or ():
        if file.parts[0] not in ("..", "__pycache__"):
            found[file.parts[0]].append(Path(*file.parts))
    return found


def main(wheel: Path, site_packages: Path) -> None:
    """Lend."""
    pinned = pins(Path(__file__).parents[1] / "constraints.txt")
    for source, place in dict.fromkeys(links(closure(required_by(wheel), pinned))):
        target = site_packages / place
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.exists():
            target.symlink_to(source)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
