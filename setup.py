"""Names the packages; everything else stands in pyproject.toml."""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["audioid*"]), "audioid.conf"])
