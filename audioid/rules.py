"""What settings may be together, as far as it can be judged without data and without torch."""

from audioid.errors import AudioidError
from audioid.schema import Settings


def check(settings: Settings) -> None:
    """Raises AudioidError for the first rule that the settings break."""
    for rule in (_frequencies, _split):
        rule(settings)


def _frequencies(settings: Settings) -> None:
    image, nyquist = settings.image, settings.audio.sample_rate / 2
    if image.f_max > nyquist:
        raise AudioidError(
            f"image.f_max: {image.f_max:g} Hz is above half of audio.sample_rate ({nyquist:g} Hz); lower it"
        )
    if image.f_min >= image.f_max:
        raise AudioidError(f"image.f_min: {image.f_min:g} Hz is not below image.f_max ({image.f_max:g} Hz); lower it")


def _split(settings: Settings) -> None:
    split = settings.split
    if split.name == "kfold" and split.fold >= split.folds:
        raise AudioidError(f"split.fold: {split.fold} is not below split.folds ({split.folds}); they count from 0")
    if not split.val_fraction and split.name != "given":
        needy = {"scheduler": settings.scheduler.name == "plateau", "trainer.patience": settings.trainer.patience}
        for key in (key for key, is_needy in needy.items() if is_needy):
            raise AudioidError(f"{key}: needs a validation part; set split.val_fraction above 0")
    if split.test_fraction + split.val_fraction >= 1:
        raise AudioidError("split.test_fraction: with split.val_fraction it leaves nothing to train on; lower one")
