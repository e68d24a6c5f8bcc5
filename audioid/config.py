"""From a command line to checked settings: a typo or a bad value fails here, before any work is done.

`conf/*.yaml` holds the values, `audioid.schema` what each may be, `audioid.rules` what they may be together.
Nothing heavy is imported.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from functools import cache
from itertools import product
from math import prod
from pathlib import Path
from typing import Any, cast

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from audioid import overrides as command_line
from audioid import registry, rules
from audioid.errors import AudioidError
from audioid.files import read_yaml
from audioid.naming import run_name
from audioid.overrides import FREE_KEY, alternatives, check_names, is_single, parse, text_of
from audioid.program import program
from audioid.schema import OPTIONS, Section, Settings
from audioid.validation import checked, checked_option

PACKAGE = Path(__file__).parent
# Inside the package once installed, beside it in a checkout.
CONF = next(folder for folder in (PACKAGE / "conf", PACKAGE.parent / "conf") if folder.is_dir())
# A run of a sweep is called by what the sweep varies, which only the sweep's own command line tells.
SWEPT_NAME = "hydra.sweep.subdir='${{run_name:${{transform.name}},${{seed}},${{hydra:overrides.task}},[{}]}}'"
MOST_JOBS = 500  # jobs of a sweep that are all checked; of a larger one, each value on its own


def compose(overrides: Sequence[str], config_name: str = "config") -> Settings:
    """The settings that `overrides` (such as `transform=cwt`) make of `conf/`.

    Raises:
        AudioidError: an override names an unknown key or option, or gives a value that is not allowed.
    """
    parsed = parse(overrides)
    options = known_options(None)
    _offer(parsed, options)
    check_names(parsed, set(known_keys()), options)
    return validate(_composed([text_of(override) for override in parsed], config_name))


def check_command_line(arguments: Sequence[str], config_name: str = "config") -> list[str]:
    """The arguments to hand to Hydra: checked, paths quoted, and `resume=DIR` replaced by that run's own choices.

    Every job of a sweep is checked here, so that none of its runs ends on a typo.

    Raises:
        AudioidError: as `compose`; several values for one key without `-m`; nothing to resume.
    """
    found = command_line.parse_flags(arguments)
    if found.help or found.hydra_help or found.version or found.info is not None or found.shell_completion:
        return list(arguments)
    flags = [text for text in arguments if text not in found.overrides]
    config_dir = Path(found.config_dir).expanduser() if found.config_dir else None
    overrides, options = parse(found.overrides), known_options(config_dir)
    resume = [override for override in overrides if override.key_or_group == "resume" and override.value()]
    if resume:
        if found.multirun:
            raise AudioidError("resume: goes on with what was started; leave out -m")
        more = [override for override in overrides if override not in resume]
        folder = Path(str(resume[0].value())).expanduser()
        more_flags, texts = command_line.resumed(folder, more, _own_options(config_dir))
        flags, overrides = [*flags, *more_flags], parse(texts)
    is_sweep = found.multirun or "--multirun" in flags
    _offer(overrides, options)
    check_names(overrides, set(known_keys()), options)
    for override in overrides:
        if override.is_sweep_override() and not is_sweep:
            raise AudioidError(f"{override.key_or_group}: several values make a sweep; add -m")
    command_line.check_launcher(overrides)
    _check_jobs(overrides, options, config_name, config_dir)
    arguments = [*flags, *command_line.keep_swept_options(overrides)]
    swept = [each.key_or_group for each in overrides if each.is_sweep_override() and not is_single(each)]
    if not swept or any(override.key_or_group == "hydra.sweep.subdir" for override in overrides):
        return arguments
    return [*arguments, SWEPT_NAME.format(",".join(swept))]


def validate(config: DictConfig) -> Settings:
    """Typed settings from a composed configuration.

    Raises:
        AudioidError: a key is unknown or missing, or its value is of a wrong type or out of range.
    """
    try:
        values = cast(dict[str, Any], OmegaConf.to_container(config, resolve=True, throw_on_missing=True))
    except OmegaConfBaseException as error:
        raise AudioidError(f"{error.full_key}: {_first_line(error)}; give it a value") from error
    return _settings(values)


def known_keys() -> Iterator[str]:
    """Every key of every option, with dots."""
    for name, field in Settings.model_fields.items():
        schemas = [field.annotation, *OPTIONS.get(name, {}).values()]
        sections = [each for each in schemas if isinstance(each, type) and issubclass(each, Section)]
        yield from [f"{name}.{key}" for section in sections for key in section.model_fields] if sections else [name]


def known_options(config_dir: Path | None) -> dict[str, set[str]]:
    """The options of each group: ours, those of the user's own folder, and those of other installed packages."""
    return {group: names | set(registry.others(group)) for group, names in _own_options(config_dir).items()}


def _own_options(config_dir: Path | None) -> dict[str, set[str]]:
    folders = [folder for root in (CONF, config_dir) if root for folder in root.iterdir() if folder.is_dir()]
    groups: dict[str, set[str]] = {}
    for folder in folders:
        if names := {file.stem for file in folder.glob("*.yaml")}:
            groups[folder.name] = groups.get(folder.name, set()) | names
    return groups


def _offer(overrides: Sequence[Override], options: Mapping[str, set[str]]) -> None:
    """Makes the chosen options of other packages known to Hydra, with the values that their settings give them."""
    for override in overrides:
        group = override.key_or_group
        for text in alternatives(override, options) if group in OPTIONS else ():
            name = text.partition("=")[2]
            if name in registry.others(group) and not (CONF / group / f"{name}.yaml").exists():
                registry.import_option(group, name)
                fields = OPTIONS[group][name].model_fields
                node = {key: "???" if field.is_required() else field.get_default() for key, field in fields.items()}
                ConfigStore.instance().store(group=group, name=name, node={**node, "name": name})


def _check_jobs(overrides: Sequence[Override], options: Mapping[str, set[str]], name: str, own: Path | None) -> None:
    """Composes and validates what each job of a sweep would get, or the only one."""
    place = [] if own is None else [f"hydra.searchpath=[file://{own.absolute().as_posix()}]"]
    choices = [alternatives(override, options) for override in overrides]
    first = [texts[0] for texts in choices]
    config = _composed([*place, *first], name)
    validate(config)
    # Hydra takes some 30 ms for each; values alone are set in what it composed for the options.
    is_value = [len(texts) > 1 and override.key_or_group not in options for override, texts in
                zip(overrides, choices, strict=True)]  # fmt: skip
    refers = "${" in str(OmegaConf.to_container(config))

    @cache
    def base(texts: tuple[str, ...]) -> dict[str, Any]:
        return cast(dict[str, Any], OmegaConf.to_container(_composed([*place, *texts], name), resolve=True))

    if prod(map(len, choices)) <= MOST_JOBS:
        jobs = list(product(*choices))
    else:
        jobs = [(*first[:k], text, *first[k + 1 :]) for k, texts in enumerate(choices) for text in texts[1:]]
    for job in jobs[1:]:
        if refers or any("${" in text for text in job):
            validate(_composed([*place, *job], name))
            continue
        kept = tuple(text for text, alone in zip(job, is_value, strict=True) if not alone)
        values = deepcopy(base(kept))
        for override in parse(text for text, alone in zip(job, is_value, strict=True) if alone):
            if not override.is_hydra_override():
                _set(values, override.key_or_group, override.value())
        _settings(values)


def _set(values: dict[str, Any], key: str, value: Any) -> None:
    *groups, name = key.split(".")
    for group in groups:
        values = values.setdefault(group, {}) if key.startswith(f"{FREE_KEY}.") else values[group]
    if groups and name not in values and not key.startswith(FREE_KEY):
        raise AudioidError(f"{key}: not a key of the chosen {groups[0]}; choose the {groups[0]} that has it")
    values[name] = value


def _settings(values: Mapping[str, Any]) -> Settings:
    """Settings of plain values, held to what each may be and to what they may be together."""
    parts = dict(values)
    if isinstance(parts.get("logger"), str):
        parts["logger"] = [parts["logger"]]
    for group in Settings.model_fields:
        if isinstance(parts.get(group), dict) or group in OPTIONS:
            parts[group] = checked_option(group, parts.get(group))
    settings = checked(Settings, parts, "")
    defaults = read_yaml(CONF / "split" / f"{settings.split.name}.yaml")
    rules.check(settings, defaults)
    return settings


def _composed(texts: Sequence[str], config_name: str) -> DictConfig:
    try:
        with initialize_config_dir(version_base=None, config_dir=str(CONF)):
            return hydra_compose(config_name, list(texts))
    except OmegaConfBaseException as error:
        raise AudioidError(f"{error.full_key or 'configuration'}: {_first_line(error)}; correct it") from error
    except (HydraException, ValueError) as error:
        stranger = re.match(r"Could not override '([\w.]+)'", str(error))
        if stranger is None:
            raise AudioidError(f"configuration: {_first_line(error)}; correct it") from error
        group = stranger[1].split(".")[0]
        raise AudioidError(f"{stranger[1]}: not a key of the chosen {group}; choose the {group} that has it") from error


def _name(transform: str, seed: int, overrides: Sequence[str], swept: Sequence[str] | None = None) -> str:
    return run_name(transform, seed, overrides, swept, set(known_keys()))


OmegaConf.register_new_resolver("run_name", _name, replace=True)
OmegaConf.register_new_resolver("program", program, replace=True)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
