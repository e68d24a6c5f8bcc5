"""The command line as Hydra reads it: flags, overrides such as `model.width=32`, what a run was started with."""

import argparse
import re
import shlex
import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, IntervalSweep, Override, ValueType
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from audioid import naming
from audioid.errors import AudioidError, did_you_mean
from audioid.files import read_yaml
from audioid.program import program
from audioid.schema import FREE_ON_RESUME, LOGGERS
from audioid.validation import RENAMED

PATH_KEYS = (*naming.PATHS, "model.pretrained", "store.root", "resume", "hydra.run.dir", "hydra.sweep.dir")
LITERAL_KEYS = (*PATH_KEYS, *naming.LITERALS)
FREE_KEY = "model.arguments"  # may hold any key
LAUNCHER_NUMBERS = ("n_jobs", "runs_per_job", "timeout_min", "array_parallelism", "cpus_per_task", "gpus_per_node")

Options = Mapping[str, Collection[str]]  # of each group of the configuration


def parse_flags(arguments: Sequence[str]) -> argparse.Namespace:
    """Hydra's flags that are of use here, and the `overrides`.

    Raises:
        AudioidError: there is no such flag.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("overrides", nargs="*")
    for names in ("-h --help", "--hydra-help", "--version", "--resolve", "-r --run", "-m --multirun"):
        parser.add_argument(*names.split(), action="store_true")
    parser.add_argument("-sc", "--shell-completion", action="store_true")
    for names in ("-c --cfg", "-p --package", "-cd --config-dir"):
        parser.add_argument(*names.split())
    parser.add_argument("-i", "--info", nargs="?", const="all")
    found, unknown = parser.parse_known_intermixed_args(list(arguments))
    if unknown:
        raise AudioidError(f"{unknown[0]}: no such option; see --help")
    return found


def parse(texts: Iterable[str]) -> list[Override]:
    """The overrides, paths and patterns quoted; AudioidError for one that Hydra's grammar does not know."""
    parser = OverridesParser.create()
    overrides = []
    for text in map(_quote, texts):
        try:
            overrides.append(parser.parse_override(text))
        except HydraException as error:
            raise AudioidError(_no_override(text)) from error
    return overrides


def _no_override(text: str) -> str:
    """What to do about a `text` that Hydra's grammar does not know."""
    path = Path(text).expanduser()
    if path.is_dir():
        return f"{text}: is a folder; to choose it write data=folder data.root={shlex.quote(str(path))}"
    if path.suffix.lower() == ".csv" and path.is_file():
        return f"{text}: is a file; to choose it write data=manifest data.file={shlex.quote(str(path))}"
    return f"{text}: cannot be read; write key=value, with special signs in quotes"


def text_of(override: Override) -> str:
    """The override as Hydra takes it."""
    return cast(str, override.input_line)


def alternatives(override: Override, options: Options) -> list[str]:
    """The override as it stands, or one text for each value that a sweep may choose (of an interval, its ends)."""
    key, value = override.get_key_element(), override.value()
    if override.value_type in (ValueType.SIMPLE_CHOICE_SWEEP, ValueType.CHOICE_SWEEP, ValueType.RANGE_SWEEP):
        try:
            texts = [f"{key}={each}" for each in override.sweep_string_iterator()]
        except OmegaConfBaseException as error:  # a sweep within a sweep
            raise AudioidError(f"{text_of(override)}: cannot be swept; list plain values, or one range") from error
        if not texts:
            raise AudioidError(f"{text_of(override)}: holds no value; correct it")
        return texts
    if isinstance(value, IntervalSweep):
        return [f"{key}={value.start}", f"{key}={value.end}"]
    if isinstance(value, Glob):
        names = sorted(options.get(override.key_or_group, ()))
        chosen = [name for name in names if any(fnmatch(name, each) for each in value.include)]
        return [f"{key}={name}" for name in chosen if not any(fnmatch(name, each) for each in value.exclude)]
    return [text_of(override)]


def is_single(override: Override) -> bool:
    """Whether a sweep's override has one value alone, as `choice(...)` may."""
    return alternatives(override, {}) not in ([], [text_of(override)]) and len(alternatives(override, {})) == 1


def refuse_intervals(overrides: Sequence[Override]) -> None:
    """Raises AudioidError for values between two bounds, where no sweeper is chosen that draws some of them."""
    has_sweeper = any(override.key_or_group == "hydra/sweeper" for override in overrides)
    for override in overrides:
        if isinstance(override.value(), IntervalSweep) and not has_sweeper:
            raise AudioidError(f"{text_of(override)}: has no end of values; list some, or search with experiment=tune")


def refuse_tuning(overrides: Sequence[Override]) -> None:
    """Raises AudioidError for a key that only a search reads."""
    for override in overrides:
        if override.key_or_group.startswith("tune."):
            raise AudioidError(f"{override.key_or_group}: belongs to experiment=tune; add that")


def check_names(overrides: Sequence[Override], keys: Collection[str], options: Options) -> None:
    """Holds each override to the known keys and the options of the groups.

    Raises:
        AudioidError: names the nearest key or option.
    """
    for override in overrides:
        key = override.key_or_group
        if override.is_hydra_override() or key == "hydra":
            continue
        if override.is_delete():
            raise AudioidError(f"{text_of(override)}: a key cannot be taken away; give it a value")
        if key in RENAMED:
            raise AudioidError(f"{key}: renamed to {RENAMED[key]}; use that")
        if key not in keys and key not in options and not key.startswith(f"{FREE_KEY}."):
            raise AudioidError(f"{key}: no such key; {did_you_mean(key, [*keys, *options])}")
        if key in options and key not in keys:
            for text in alternatives(override, options):
                option = text.partition("=")[2]
                if re.fullmatch(r"[\w.-]*", option) and option not in options[key]:
                    *names, last = sorted(options[key])
                    listed = f"{', '.join(names)} or {last}" if names else last
                    raise AudioidError(f"{key}: there is no '{option}'; choose {listed}")


def check_launcher(overrides: Sequence[Override], known: Collection[str], *, is_sweep: bool) -> None:
    """Raises AudioidError where there is no such launcher, nothing to launch, or no cluster that is reached from here,
    and where a number of the launcher's is none."""
    launchers = [each.value() for each in overrides if each.key_or_group == "hydra/launcher"]
    for launcher in launchers:
        if launcher not in known:
            raise AudioidError(f"hydra/launcher: there is no '{launcher}'; choose one of {', '.join(sorted(known))}")
        if not is_sweep:
            raise AudioidError("hydra/launcher: is for the runs of a sweep; add -m, or leave it out")
    for override in overrides:
        group, _, name = override.key_or_group.rpartition(".")
        if group == "hydra.launcher" and name in LAUNCHER_NUMBERS:
            value = override.value()
            if value is None or "${" in str(value):  # the launcher's own, or out of the configuration
                continue
            if type(value) is not int or value == 0 or (value < 0 and name != "n_jobs"):
                raise AudioidError(f"{override.key_or_group}: '{value}' is no number from 1 on; correct it")
    if "slurm" in launchers and not shutil.which("sbatch"):
        raise AudioidError(
            "hydra/launcher: slurm needs Slurm's sbatch, which is not here; start this on a machine of the cluster, or "
            "choose joblib"
        )
    if "slurm" in launchers and not find_spec("submitit"):
        raise AudioidError("hydra/launcher: slurm needs hydra-submitit-launcher: pip install 'audioid[launchers]'")


def keep_swept_options(overrides: Sequence[Override]) -> list[str]:
    """The overrides as texts; a key of a group whose option is swept becomes a sweep of one value.

    Hydra composes a sweep first without what is swept, and so would miss the key in the group's default option.
    """
    swept = {override.key_or_group for override in overrides if override.is_sweep_override()}

    def text(override: Override) -> str:
        if override.key_or_group.partition(".")[0] not in swept or override.is_sweep_override():
            return text_of(override)
        return f"{override.get_key_element()}=choice({override.get_value_element_as_str()})"

    return [text(override) for override in overrides]


def resumed(folder: Path, more: Sequence[Override], options: Options) -> tuple[list[str], list[str]]:
    """Flags and overrides that go on with the run or the sweep in `folder`, changed by `more`.

    Whoever made the folder may have written anything into it, so nothing is taken from there that could run code.

    Args:
        options: those that come with audioid, or lie in a folder that the user named.

    Raises:
        AudioidError: there is nothing to go on with, or it names code to be run.
    """
    record, sweep = folder / ".hydra" / "overrides.yaml", folder / "multirun.yaml"
    path = _quoted(str(folder))
    chosen: Any = None
    try:
        if record.is_file():
            chosen, place, flags = read_yaml(record), [f"resume={path}", f"hydra.run.dir={path}"], []
        elif sweep.is_file():
            chosen = read_yaml(sweep)["hydra"]["overrides"]["task"]
            place, flags = [f"hydra.sweep.dir={path}"], ["--multirun"]
    except Exception as error:
        raise AudioidError(f"resume: {folder} cannot be read ({error!r}); start anew".replace("\n", " ")) from error
    if not isinstance(chosen, list):
        raise AudioidError(f"resume: {folder} holds neither a run nor a sweep; name the folder that one was written to")
    if _is_from_before_weights(folder / "multirun.yaml" if flags else folder / ".hydra" / "config.yaml"):
        chosen = [*chosen, "model.pretrained=none"]
    repeated = {override.key_or_group for override in more}
    if flags:
        _refuse_other_sweep(folder, list(map(str, chosen)), more)
    earlier = [each for each in parse(map(str, chosen)) if each.key_or_group not in ("resume", *repeated)]
    # Where things are stored is for this machine to say: the store evicts what it has no room for.
    earlier = [each for each in earlier if not each.key_or_group.startswith("store.")]
    for override in earlier:
        if reason := _runs_code(override, options):
            said = text_of(override)
            again = f"{program('train')} resume='{folder}' '{said}'"
            raise AudioidError(f"resume: {folder} was started with {said}, which {reason}; if you trust it: {again}")
    return flags, [*map(text_of, earlier), *map(text_of, more), *place]


def _is_from_before_weights(config: Path) -> bool:
    """Whether what was started then began from scratch, since its network had no such choice."""
    try:
        model = read_yaml(config)["model"]
        return model["name"] == "cnn" and "pretrained" not in model
    except Exception:  # none, or a damaged file: what is missing is told elsewhere
        return False


def _refuse_other_sweep(folder: Path, chosen: Sequence[str], more: Sequence[Override]) -> None:
    """Raises AudioidError where `more` would make another sweep of the one that is to go on."""
    texts = {each.key_or_group: text_of(each) for each in parse(chosen)}
    for override in more:
        key = override.key_or_group
        is_free = override.is_hydra_override() or key.startswith(FREE_ON_RESUME)  # such as another launcher
        if not is_free and texts.get(key) != text_of(override):
            again = f"has {texts[key]}; say the same" if key in texts else f"was started without {key}; leave it out"
            raise AudioidError(f"{key}: the sweep in {folder} {again}, or start another sweep")


def _runs_code(override: Override, options: Options) -> str | None:
    """Why an override from elsewhere could run code, if it could."""
    key = override.key_or_group
    if override.is_hydra_override() or override.package or key.split(".")[0].split("/")[0] == "hydra":
        return "changes Hydra itself"
    if "_target_" in text_of(override) or key == "model.target":
        return "names code to be run"
    if key == "logger" and set(text_of(override).partition("=")[2].strip("[]").split(",")) - set(LOGGERS):
        return "chooses a logger that does not come with audioid"
    if key in options:
        names = [text.partition("=")[2] for text in alternatives(override, options)]
        strange = [name for name in names if name != "null" and name not in options[key]]
        if strange:
            return f"chooses {strange[0]}, which does not come with audioid"
    return None


def _quote(text: str) -> str:
    """`key=VALUE` with a path or a pattern quoted, so that brackets, commas and equal signs may stand in it.

    What may hold any key gets Hydra's `++`, which adds keys that are not there yet.
    """
    key, equals, value = text.partition("=")
    if key == FREE_KEY or key.startswith(f"{FREE_KEY}."):
        return f"++{text}"
    if key in PATH_KEYS and equals and not value:
        raise AudioidError(f"{key}: is empty; give it a path, or leave it out")
    if key not in LITERAL_KEYS or not value or value[0] in "'\"" or "${" in value or value == "null":
        return text
    is_list = key in PATH_KEYS and "," in value and not Path(value).expanduser().exists()
    return text if is_list else f"{key}{equals}{_quoted(value)}"


def _quoted(value: str) -> str:
    doubled = re.sub(r"(\\*)(?='|\Z)", r"\1\1", value)  # before a quotation mark, also the closing one
    return "'" + doubled.replace("'", r"\'") + "'"
