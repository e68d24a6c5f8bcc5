"""What settings may be together, as far as it can be judged without data and without torch."""

from audioid.errors import AudioidError
from audioid.schema import Settings
from audioid.transforms.rules import check_transform


def check(settings: Settings) -> None:
    """Raises AudioidError for the first rule that the settings break."""
    for rule in (_transform, _split):
        rule(settings)


def _transform(settings: Settings) -> None:
    check_transform(*(getattr(settings, group).model_dump() for group in ("transform", "image", "audio")))


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
