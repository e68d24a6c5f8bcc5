"""Names the packages; everything else stands in pyproject.toml."""

from pathlib import Path

from setuptools import find_packages, setup

# Folders of configuration are packages to setuptools, which else warns of each.
folders = [folder.as_posix().replace("/", ".") for folder in Path("conf").rglob("*") if folder.is_dir()]
configuration = ["audioid.conf", *(f"audioid.{name}" for name in folders)]
setup(packages=[*find_packages(include=["audioid*"]), "hydra_plugins.audioid", *configuration])
