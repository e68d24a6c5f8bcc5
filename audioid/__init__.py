"""Which picture of sound, Fourier or wavelet, lets a neural network tell recordings apart."""

from os import PathLike
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from audioid.identification.loaded import IdentificationModel

__all__ = ["load_model"]


def load_model(*paths: str | PathLike[str], trust: tuple[str, ...] = ()) -> "IdentificationModel":
    """A trained model for use: see `audioid.identification.loaded`, which is heavy, so loaded when it is asked for."""
    from audioid.identification import loaded

    return loaded.load_model(*paths, trust=trust)
