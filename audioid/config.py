"""From a command line to checked settings: a typo or a bad value fails here, before any work is done.

`conf/*.yaml` holds the values, `audioid.schema` what they may be. Nothing heavy is imported.
"""

import difflib
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, fields, is_dataclass, make_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_args, get_origin

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, ValueType
from hydra.errors import HydraException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from audioid.errors import AudioidError
from audioid.files import replacing
from audioid.program import program
from audioid.schema import OPTIONS, Settings, brief, check

PACKAGE = Path(__file__).parent
# Inside the package once installed, beside it in a checkout.
CONF = next(folder for folder in (PACKAGE / "conf", PACKAGE.parent / "conf") if folder.is_dir())
PATH_KEYS = ("data.root", "data.file", "store.root", "resume", "hydra.run.dir", "hydra.sweep.dir")
LITERAL_KEYS = (*PATH_KEYS, "data.group_pattern")
FREE_ON_RESUME = ("trainer.", "store.")  # what a resumed run may change
MAX_NAME = 120  # characters of a run's name, which is also its folder's


def compose(overrides: Sequence[str], config_name: str = "config") -> Settings:
    """The settings that `overrides` (such as `transform=cwt`) make of `conf/`.

    Raises:
        AudioidError: an override names an unknown key or option, or gives a value that is not allowed.
    """
    parsed = _parsed([_quote(text) for text in overrides])
    _check_names(parsed)
    return _compose([cast(str, override.input_line) for override in parsed], config_name)


def check_command_line(arguments: Sequence[str], config_name: str = "config") -> list[str]:
    """The arguments to hand to Hydra: checked, paths quoted, and `resume=DIR` replaced by that run's own choices.

    Every value of a sweep is composed and checked once here, so that none of its runs ends on a typo.

    Raises:
        AudioidError: as `compose`; several values for one key without `-m`; nothing to resume.
    """
    known, unknown = get_args_parser().parse_known_intermixed_args(list(arguments))
    if unknown:
        raise AudioidError(f"{unknown[0]}: no such option; see --help")
    if known.help or known.hydra_help or known.info is not None or known.shell_completion:
        return list(arguments)
    flags = [text for text in arguments if text not in known.overrides]
    overrides = _parsed([_quote(text) for text in known.overrides])
    resumed = [override for override in overrides if override.key_or_group == "resume" and override.value()]
    if resumed:
        others = [cast(str, override.input_line) for override in overrides if override not in resumed]
        if known.multirun:
            raise AudioidError("resume: goes on with what was started; leave out -m")
        more_flags, texts = _resumed(Path(str(resumed[0].value())).expanduser(), others)
        flags, overrides = [*flags, *more_flags], _parsed(texts)
    _check_names(overrides)
    alternatives = [_alternatives(override) for override in overrides]
    for override, texts in zip(overrides, alternatives, strict=True):
        if len(texts) > 1 and not (known.multirun or "--multirun" in flags):
            raise AudioidError(f"{override.key_or_group}: several values make a sweep; add -m")
    first = [texts[0] for texts in alternatives]
    _compose(first, config_name)
    for place, texts in enumerate(alternatives):
        for text in texts[1:]:
            _compose([*first[:place], text, *first[place + 1 :]], config_name)
    swept = {override.key_or_group for override in overrides if override.is_sweep_override()}
    return [*flags, *(_of_swept_option(override, swept) for override in overrides)]


def claim_folder(folder: Path, settings: Settings, config: DictConfig, overrides: Sequence[str]) -> None:
    """Makes a run's folder and writes down what was chosen, unless an earlier run there chose otherwise.

    Raises:
        AudioidError: the folder belongs to a run with other settings.
    """
    record = folder / ".hydra"
    if (record / "config.yaml").exists():
        earlier = _recorded(record / "config.yaml")
        for key, value in _flat(asdict(settings)).items():
            if key != "resume" and not key.startswith(FREE_ON_RESUME) and earlier.get(key, value) != value:
                raise AudioidError(
                    f"{key}: the run in {folder} has {earlier[key]}, not {value}; leave it so, or choose another folder"
                )
    record.mkdir(parents=True, exist_ok=True)
    (folder / "error.txt").unlink(missing_ok=True)
    for name, values in (("config", config), ("overrides", OmegaConf.create(list(overrides)))):
        with replacing(record / f"{name}.yaml") as part:
            OmegaConf.save(values, part)


def _recorded(file: Path) -> dict[str, Any]:
    """The settings of an earlier run, flat."""
    try:
        return _flat(asdict(validate(cast(DictConfig, OmegaConf.load(file)))))
    except Exception as error:
        raise AudioidError(f"{file}: is damaged ({_first_line(error)}); choose another folder") from error


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"model": {"width": 32}}` as `{"model.width": 32}`."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def validate(config: DictConfig) -> Settings:
    """Typed settings from a composed configuration.

    Raises:
        AudioidError: a key is unknown or missing, or its value is of a wrong type or out of range.
    """
    groups: dict[str, Any] = {}
    try:
        values = cast(dict[str, Any], OmegaConf.to_container(config, resolve=True, throw_on_missing=True))
    except OmegaConfBaseException as error:
        raise AudioidError(f"{error.full_key}: {_first_line(error)}; give it a value") from error
    for key, kind in Settings.__annotations__.items():
        if not is_dataclass(kind):
            continue
        group = values.get(key) or {}
        schema = OPTIONS.get(key, {}).get(str(group.get("name")), kind)
        groups[key] = _typed(schema, group, key)
    plain = {key: value for key, value in values.items() if key not in groups}
    settings = cast(Settings, _typed(Settings, plain, "", groups))
    _check_together(settings)
    return settings


def run_name(transform: str, seed: int, overrides: Sequence[str]) -> str:
    """What tells this run from others in a list, such as `cwt width=32 seed=0`: its choices in few words."""
    known = set(_known_keys())
    words = [transform]
    for text in overrides:
        key, _, value = text.lstrip("+").partition("=")
        last = key.rpartition(".")[2]
        if key in PATH_KEYS:
            value = Path(value.strip("'\"")).name
        if key in ("transform", "seed", "resume", "store.root") or (key == "data" and value in ("folder", "manifest")):
            continue
        is_clear = sum(name.rpartition(".")[2] == last for name in known) == 1
        words.append(f"{last if is_clear or key in PATH_KEYS else key}={value}")
    name = re.sub(r"[^\w .=+-]", "_", " ".join([*words, f"seed={seed}"]))
    if len(name) > MAX_NAME:
        name = f"{name[: MAX_NAME - 9]} {hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return name


OmegaConf.register_new_resolver("run_name", run_name, replace=True)
OmegaConf.register_new_resolver("program", program, replace=True)


def _typed(schema: type, values: dict[str, Any], prefix: str, ready: dict[str, Any] | None = None) -> object:
    """An instance of the dataclass `schema` made of `values`, with `ready` parts put in as they are."""
    ready = ready or {}
    wanted = {item.name: item for item in fields(schema) if item.name not in ready}
    instance: dict[str, Any] = {}
    for name in [*values, *wanted]:
        full = f"{prefix}.{name}".lstrip(".")
        if name not in wanted:
            raise AudioidError(f"{full}: no such key; {_nearest(name, wanted)}")
        if name not in values:
            raise AudioidError(f"{full}: has no value in the configuration; give it one")
        instance[name] = _checked(full, wanted[name].type, values[name])
    return schema(**instance, **ready)


def _checked(key: str, kind: Any, value: Any) -> Any:
    """`value` converted to the type `kind` and held to its limits."""
    plain = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    if get_origin(kind) is not Literal:
        try:
            # A class of one field borrows OmegaConf's own rules of conversion.
            holder = OmegaConf.structured(make_dataclass("Holder", [("value", plain)]))
            holder.value = value
            value = cast(dict[str, Any], OmegaConf.to_container(holder))["value"]
        except (OmegaConfBaseException, OverflowError) as error:
            name = plain.__name__ if isinstance(plain, type) else str(plain)
            raise AudioidError(f"{key}: {brief(value)} is not of type {name}; correct it") from error
    if problem := check(kind, value, key):
        raise AudioidError(problem if "; " in problem else f"{problem}; correct it")
    return value


def _check_together(settings: Settings) -> None:
    """Rules that join several keys."""
    image, nyquist = settings.image, settings.audio.sample_rate / 2
    if image.f_max > nyquist:
        raise AudioidError(
            f"image.f_max: {image.f_max:g} Hz is above half of audio.sample_rate ({nyquist:g} Hz); lower it"
        )
    if image.f_min >= image.f_max:
        raise AudioidError(f"image.f_min: {image.f_min:g} Hz is not below image.f_max ({image.f_max:g} Hz); lower it")
    split = settings.split
    if split.name == "kfold" and split.fold >= split.folds:
        raise AudioidError(f"split.fold: {split.fold} is not below split.folds ({split.folds}); they count from 0")
    if not split.val_fraction and split.name != "given":
        needy = {"scheduler": settings.scheduler.name == "plateau", "trainer.patience": settings.trainer.patience}
        for key in (key for key, is_needy in needy.items() if is_needy):
            raise AudioidError(f"{key}: needs a validation part; set split.val_fraction above 0")
    if split.test_fraction + split.val_fraction >= 1:
        raise AudioidError("split.test_fraction: with split.val_fraction it leaves nothing to train on; lower one")


def _parsed(texts: Sequence[str]) -> list[Override]:
    parser = OverridesParser.create()
    overrides = []
    for text in texts:
        try:
            overrides.append(parser.parse_override(text))
        except HydraException as error:
            raise AudioidError(f"{text}: cannot be read; write key=value, with special signs in quotes") from error
    return overrides


def _alternatives(override: Override) -> list[str]:
    """The override as it stands, or one text for each value that a sweep lists."""
    if override.value_type in (ValueType.SIMPLE_CHOICE_SWEEP, ValueType.CHOICE_SWEEP, ValueType.RANGE_SWEEP):
        return [f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()]
    return [cast(str, override.input_line)]


def _of_swept_option(override: Override, swept: set[str]) -> str:
    """The override as it stands; a key of a group whose option is swept as a sweep of one value.

    Hydra composes a sweep first without what is swept, and so would miss the key in the group's default option.
    """
    text = cast(str, override.input_line)
    if override.key_or_group.partition(".")[0] not in swept or override.is_sweep_override():
        return text
    return f"{override.get_key_element()}=choice({override.get_value_element_as_str()})"


def _check_names(overrides: Sequence[Override]) -> None:
    """Holds each override to the keys of the schema and the options that `conf/` offers."""
    keys = set(_known_keys())
    groups = {folder.name: sorted(file.stem for file in folder.glob("*.yaml")) for folder in CONF.iterdir()}
    groups = {name: options for name, options in groups.items() if options}
    for override in overrides:
        key = override.key_or_group
        if override.is_hydra_override() or key == "hydra":
            continue
        if key not in keys and key not in groups:
            raise AudioidError(f"{key}: no such key; {_nearest(key, [*keys, *groups])}")
        if key in groups and key not in keys:
            for text in _alternatives(override):
                option = text.partition("=")[2]
                if re.fullmatch(r"[\w.-]+", option) and option not in groups[key]:
                    raise AudioidError(f"{key}: there is no '{option}'; choose {_listed(groups[key])}")


def _known_keys() -> Iterator[str]:
    """Every key of every option, with dots."""
    for name, kind in Settings.__annotations__.items():
        if not is_dataclass(kind):
            yield name
        for schema in [kind, *OPTIONS.get(name, {}).values()]:
            if is_dataclass(schema):
                yield from (f"{name}.{item.name}" for item in fields(schema))


def _compose(texts: Sequence[str], config_name: str) -> Settings:
    try:
        with initialize_config_dir(version_base=None, config_dir=str(CONF)):
            return validate(hydra_compose(config_name, list(texts)))
    except (HydraException, ValueError) as error:
        stranger = re.match(r"Could not override '([\w.]+)'", str(error))
        if stranger is None:
            raise AudioidError(f"configuration: {_first_line(error)}; correct it") from error
        group = stranger[1].split(".")[0]
        raise AudioidError(f"{stranger[1]}: not a key of the chosen {group}; choose the {group} that has it") from error


def _resumed(folder: Path, overrides: Sequence[str]) -> tuple[list[str], list[str]]:
    """Flags and overrides that go on with the run or the sweep in `folder`."""
    record, sweep = folder / ".hydra" / "overrides.yaml", folder / "multirun.yaml"
    path = _quoted(str(folder))
    chosen: Any = None
    try:
        if record.is_file():
            chosen, place, flags = OmegaConf.load(record), [f"resume={path}", f"hydra.run.dir={path}"], []
        elif sweep.is_file():
            chosen = OmegaConf.select(cast(DictConfig, OmegaConf.load(sweep)), "hydra.overrides.task")
            place, flags = [f"hydra.sweep.dir={path}"], ["--multirun"]
    except Exception as error:
        raise AudioidError(f"resume: {folder} cannot be read ({_first_line(error)}); start anew") from error
    if not isinstance(chosen, ListConfig):
        raise AudioidError(f"resume: {folder} holds neither a run nor a sweep; name the folder that one was written to")
    earlier = [str(text) for text in chosen if not str(text).startswith("resume=")]
    return flags, [*earlier, *overrides, *place]


def _quote(text: str) -> str:
    """`key=VALUE` with a path or a pattern quoted, so that brackets, commas and equal signs may stand in it."""
    key, equals, value = text.partition("=")
    if key in PATH_KEYS and equals and not value:
        raise AudioidError(f"{key}: is empty; give it a path, or leave it out")
    if key not in LITERAL_KEYS or not value or value[0] in "'\"" or "${" in value or value == "null":
        return text
    is_list = key in PATH_KEYS and "," in value and not Path(value).expanduser().exists()
    return text if is_list else f"{key}{equals}{_quoted(value)}"


def _quoted(value: str) -> str:
    escaped = re.sub(r"(\\*)'", r"\1\1\'", value)
    return f"'{escaped}'"


def _nearest(name: str, candidates: Iterable[str]) -> str:
    found = difflib.get_close_matches(name, list(candidates), n=1, cutoff=0.5)
    return f"did you mean {found[0]}?" if found else f"{program('train')} --help lists the keys"


def _listed(names: Sequence[str]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
