"""Images: of the Dockerfiles, and of single programs."""

import json
import os
from pathlib import Path
import shlex
import shutil
import subprocess
import tempfile

INFRA = Path(__file__).parents[2]
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
GIT_CONFIGURATION = """
[url "file:///sources/"]
    insteadOf = https://github.com/
[protocol "file"]
    allow = always
[safe]
    directory = *
"""


def tag(name: str) -> str:
    return f"localhost/darkroom/{name}:check"


def build(name: str, arguments: dict[str, str]) -> None:
    """The image of `infra/images/<name>`, as `infra/images/build` builds it, with more arguments of its Dockerfile."""
    context = INFRA.parent if name == "worker" else INFRA / "images"
    with tempfile.NamedTemporaryFile("w", suffix=".gitconfig") as configuration:
        options = [f"--build-arg={key}={value}" for key, value in arguments.items()] + _sources(configuration)
        options += shlex.split(os.environ.get("PODS_BUILD_OPTIONS", ""))
        # HEALTHCHECK and SHELL exist in Docker's format only.
        _podman(
            "build", "--format", "docker", "--pull=missing", "--file", str(INFRA / "images" / name / "Dockerfile"),
            "--build-arg", "VERSION=check", "--tag", tag(name), *options, str(context),
        )


def of_programs(name: str, user: int, programs: list[Path], entrypoint: list[str]) -> None:
    """An image of programs, the libraries that they are linked with, and the certificate authorities; nothing else, as the worker's."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        for source in [CERTIFICATES, *(library for program in programs for library in _libraries(program))]:
            (root / source.relative_to("/")).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, root / source.relative_to("/"))
        for program in programs:
            shutil.copy(program, root)
        dockerfile = f"FROM scratch\nCOPY root /\nUSER {user}:{user}\nENTRYPOINT {json.dumps(entrypoint)}\n"
        (Path(folder) / "Dockerfile").write_text(dockerfile)
        _podman("build", "--quiet", "--format", "docker", "--tag", tag(name), folder)


def origins(name: str) -> list[str]:
    """What of the image does not come from where its Dockerfile says."""
    labels, known = _inspect(name)["Labels"] or {}, {"darkroom.base": "base assembled of", "darkroom.sources": "sources from"}
    return [f"{what} {labels[label]}" for label, what in known.items() if label in labels]


def gigabytes(name: str) -> float:
    """Unpacked."""
    return _inspect(name)["Size"] / 1e9


def _sources(configuration) -> list[str]:
    """Dockerfiles clone from GitHub. With PODS_SOURCES, a folder of `<owner>/<name>.git`, git's clones come from there."""
    folder = os.environ.get("PODS_SOURCES")
    if not folder:
        return []
    configuration.write(GIT_CONFIGURATION)
    configuration.flush()
    volumes = [f"{configuration.name}:/etc/gitconfig:ro", f"{Path(folder).resolve()}:/sources:ro"]
    return ["--label=darkroom.sources=local copies", *(f"--volume={volume}" for volume in volumes)]


def _libraries(program: Path) -> list[Path]:
    """None of a static program."""
    listed = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=False).stdout
    return [Path(word) for line in listed.splitlines() for word in line.split() if word.startswith("/")]


def _inspect(name: str) -> dict:
    shown = subprocess.run(["podman", "image", "inspect", tag(name)], capture_output=True, text=True, check=True).stdout
    return json.loads(shown)[0]


def _podman(*arguments: str) -> None:
    subprocess.run(["podman", *arguments], check=True, stdin=subprocess.DEVNULL)
