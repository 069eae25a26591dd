"""Compiles the hot modules with mypyc where a C compiler is at hand; else says why not.

Two callers: hatchling, when it builds a wheel (an editable install stays pure), and `make
compiled`, for the tests and the benchmark. Which modules are hot stands in pyproject.toml, under
`[tool.hatch.build.targets.wheel.hooks.custom]`. Never writes into src/, and never lets a build
fail: a wheel that cannot be compiled is a pure one.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parent
BUILD = ROOT / "build"
#: The shared library behind the compiled modules; mypyc appends `__mypyc`.
LIBRARY = "farspan.pattern.hot"


class CompileHotModules(BuildHookInterface[Any]):
    """Puts the compiled modules into the wheel, beside their sources."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, unless this is an editable install or something is missing."""
        if version == "editable":
            return
        reason = missing()
        if reason is None:
            into = BUILD / "wheel"
            # A process of its own: mypyc patches setuptools, and exits where it does not succeed.
            command = [sys.executable, __file__, str(into)]
            if subprocess.run(command, cwd=ROOT, check=False).returncode == 0:
                for path in compiled_files(into):
                    build_data["force_include"][str(path)] = str(path.relative_to(into))
                build_data["pure_python"] = False
                build_data["infer_tag"] = True
                return
            reason = "mypyc or the C compiler failed, see above"
        self.app.display_warning(f"building the pure wheel: {reason}")


def missing() -> str | None:
    """Return what this machine lacks for compiling, or None."""
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")[0]
    header = Path(sysconfig.get_path("include")) / "Python.h"
    if shutil.which(compiler) is None:
        return f"there is no C compiler ({compiler})"
    if not header.exists():
        return f"there is no {header}"
    for module in ("mypyc", "setuptools"):
        if importlib.util.find_spec(module) is None:
            return f"{module} is not installed"
    return None


def compiled_files(directory: Path) -> list[Path]:
    """Return the compiled modules in `directory`."""
    return sorted(directory.rglob("*" + sysconfig.get_config_var("EXT_SUFFIX")))


def hot_modules() -> list[str]:
    """Return the paths that pyproject.toml describes."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    hook = project["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["custom"]
    return sorted(str(path) for pattern in hook["modules"] for path in ROOT.glob(pattern))


def compile_into(directory: Path) -> None:
    """Write the package to `directory`, sources and compiled modules."""
    from mypyc.build import mypycify
    from setuptools import Distribution

    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    extensions = mypycify(
        ["--python-version", version, *hot_modules()],
        debug_level="0",
        group_name=LIBRARY,
        target_dir=str(BUILD / "mypyc"),
    )
    command = Distribution({"name": "farspan", "ext_modules": extensions}).get_command_obj(
        "build_ext"
    )
    command.build_lib = str(BUILD / "mypyc" / "lib")
    command.build_temp = str(BUILD / "mypyc" / "objects")
    command.ensure_finalized()
    command.run()
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(
        ROOT / "src" / "farspan",
        directory / "farspan",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    for path in map(Path, command.get_outputs()):
        shutil.copy2(path, directory / path.relative_to(command.build_lib))


def main() -> None:
    """Compile into a directory, or tell whether that can be done here."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path, nargs="?", help="where the compiled form goes")
    options = parser.parse_args()
    reason = missing()
    if reason is not None:
        raise SystemExit(f"nothing is compiled: {reason}")
    if options.directory is not None:
        os.chdir(ROOT)
        compile_into(options.directory.resolve())


if __name__ == "__main__":
    main()
