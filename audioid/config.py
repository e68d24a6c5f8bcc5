"""From a command line to checked settings: a typo or a bad value fails here, before any work is done.

`conf/*.yaml` holds the values, `audioid.schema` what each may be, `audioid.rules` what they may be together.
Nothing heavy is imported.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from audioid import overrides as command_line
from audioid import registry, rules
from audioid.errors import AudioidError, did_you_mean
from audioid.files import read_yaml
from audioid.jobs import (
    PARALLEL,
    PROTOCOL,
    applying,
    has_key,
    in_parallel,
    jobs,
    sample_choices,
    sample_jobs,
    swept_options,
)
from audioid.naming import run_name
from audioid.overrides import FREE_KEY, alternatives, check_names, is_single, parse, text_of
from audioid.pretrained import Beginning, beginning_of
from audioid.program import program
from audioid.schema import OPTIONS, CnnSettings, Section, Settings
from audioid.validation import checked, checked_option

PACKAGE = Path(__file__).parent
SEARCHING = ".SearchingSweeper"
MOST_FOLDS = 1000  # whose runs have seeds of their own
# Inside the package once installed, beside it in a checkout.
CONF = next(folder for folder in (PACKAGE / "conf", PACKAGE.parent / "conf") if folder.is_dir())
# A run of a sweep is called by what the sweep varies, which only the sweep's own command line tells.
SWEPT_NAME = "hydra.sweep.subdir='${{run_name:${{transform.name}},${{seed}},${{hydra:overrides.task}},[{}]}}'"


def compose(overrides: Sequence[str], config_name: str = "config") -> Settings:
    """The settings that `overrides` (such as `transform=cwt`) make of `conf/`.

    Raises:
        AudioidError: an override names an unknown key or option, or gives a value that is not allowed.
    """
    parsed = parse(overrides)
    options = known_options(None)
    _check_names(parsed, options)
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
    if found.cfg and found.multirun:
        raise AudioidError("--cfg: shows one configuration; leave out -m")
    flags = [text for text in arguments if text not in found.overrides]
    config_dir = Path(found.config_dir).expanduser() if found.config_dir else None
    if config_dir and not config_dir.is_dir():
        raise AudioidError(f"--config-dir: {config_dir} is no folder; name one that has folders such as model/")
    overrides, options = parse(found.overrides), known_options(config_dir)
    resume = [override for override in overrides if override.key_or_group == "resume" and override.value()]
    if resume:
        if found.multirun:
            raise AudioidError("resume: goes on with what was started; leave out -m")
        more = [override for override in overrides if override not in resume]
        folder = Path(str(resume[0].value())).expanduser()
        more_flags, texts = command_line.resumed(folder, more, _own_options(config_dir))
        flags, overrides = [*flags, *more_flags], parse(texts)
    _check_names(overrides, options)
    chosen = None if found.cfg else _chosen_by_experiment(overrides, config_dir, config_name)
    is_search = chosen is not None and str(chosen.hydra.sweeper._target_).endswith(SEARCHING)
    if not resume and chosen and (more := _swept_by_experiment(overrides, chosen, is_search=is_search)):
        keys = {override.key_or_group for override in more}
        overrides = [*(each for each in overrides if each.key_or_group not in keys), *more]
        _check_names(overrides, options)
        flags += [] if found.multirun else ["--multirun"]
    if not found.cfg and (parallel := _parallel_seeds(overrides)) > 1:
        if not resume:
            overrides = _with_seeds(overrides, parallel, config_dir, config_name)
            flags += [] if "--multirun" in flags or found.multirun else ["--multirun"]
        elif "--multirun" not in flags:
            raise AudioidError(f"{PARALLEL}: a run goes on by itself; leave it out")
        groups = in_parallel(jobs(overrides, options), parallel)
        if not any(text.startswith(f"{PARALLEL}=[") and "," in text for job in groups for text in job):
            raise AudioidError(f"{PARALLEL}: no two runs of this sweep differ in seed alone; leave it at 1")
    is_sweep = found.multirun or "--multirun" in flags
    for override in overrides:
        if override.is_sweep_override() and not is_sweep:
            raise AudioidError(f"{override.key_or_group}: several values make a sweep; add -m")
    command_line.check_launcher(overrides, _launchers(config_dir), is_sweep=is_sweep)
    if is_search:
        _check_space(overrides, options)
    else:
        command_line.refuse_intervals(overrides)
        if not found.cfg:  # which is shown without a look at what an experiment is
            command_line.refuse_tuning(overrides)
    by_themselves = dict[bool, Beginning]()
    for settings in _checked_jobs(overrides, options, config_name, config_dir):
        rules.check_places(settings.data)
        if is_search:
            rules.check_search(settings)
        if is_sweep and settings.trainer.devices > 1:
            raise AudioidError("trainer.devices: a sweep gives each run one device; leave it at 1")
        if not resume:  # the weights of what goes on are in its checkpoints
            beginning = beginning_of(settings)
            if isinstance(settings.model, CnnSettings) and settings.model.pretrained == "auto":
                by_themselves[beginning.weights is not None] = beginning
    if len(by_themselves) > 1:  # what a sweep compares would be mixed up with what its runs had learned before
        print(f"model.pretrained=none for the whole sweep, since one of its arms {by_themselves[False].told}")
        overrides = [*overrides, *parse(["model.pretrained=none"])]
    arguments = [*flags, *command_line.keep_swept_options(overrides)]
    swept = [each.key_or_group for each in overrides if each.is_sweep_override() and not is_single(each)]
    if is_search:  # what is searched is the same in all runs of an arm
        swept = [key for key in swept if key in PROTOCOL]
    if not (swept or is_search) or any(override.key_or_group == "hydra.sweep.subdir" for override in overrides):
        return arguments
    return [*arguments, SWEPT_NAME.format(",".join(swept))]


def _parallel_seeds(overrides: Sequence[Override]) -> int:
    """How many runs that differ in the seed are to be trained as one."""
    found = [override for override in overrides if override.key_or_group == PARALLEL]
    if not found:
        return 1
    value = found[-1].value()
    if found[-1].is_sweep_override() or not isinstance(value, int) or value < 1:
        raise AudioidError(f"{PARALLEL}: is one number, of seeds that are trained at once; seed says which")
    if value > 1 and any(override.key_or_group == "hydra/sweeper" for override in overrides):
        raise AudioidError(f"{PARALLEL}: is for audioid's own sweeper; leave hydra/sweeper out, or this at 1")
    return value


def _with_seeds(overrides: Sequence[Override], count: int, config_dir: Path | None, config_name: str) -> list[Override]:
    """The overrides with as many seeds as are trained at once, from the one that is chosen on, unless they say more."""
    swept = {override.key_or_group for override in overrides if override.is_sweep_override()}
    if "seed" in swept:
        return list(overrides)
    plain = [text_of(each) for each in overrides if not swept & {each.key_or_group, each.key_or_group.split(".")[0]}]
    config = _composed([*_place(config_dir), *plain], config_name)
    if OmegaConf.is_interpolation(config, "seed") or not isinstance(config.seed, int):
        return list(overrides)
    seeds = ",".join(map(str, range(config.seed, config.seed + count)))
    return [*(each for each in overrides if each.key_or_group != "seed"), *parse([f"seed={seeds}"])]


def _chosen_by_experiment(
    overrides: Sequence[Override], config_dir: Path | None, config_name: str
) -> DictConfig | None:
    """The configuration with Hydra's part, but for what is swept; None where no experiment is chosen."""
    if not any(override.key_or_group == "experiment" for override in overrides):
        return None
    # The transform too: most experiments sweep it, and a key of one need not be a key of the default.
    swept = {"transform", *(override.key_or_group for override in overrides if override.is_sweep_override())}
    plain = [text_of(each) for each in overrides if not swept & {each.key_or_group, each.key_or_group.split(".")[0]}]
    return _composed([*_place(config_dir), *plain], config_name, with_hydra=True)


def _check_space(overrides: Sequence[Override], options: Mapping[str, set[str]]) -> None:
    """Raises AudioidError where a search cannot be made of the overrides."""
    if find_spec("optuna") is None:
        raise AudioidError("experiment=tune: needs the package optuna; pip install 'audioid[tune]'")
    from audioid.search.space import plan_of

    plan_of(overrides, options)


def _swept_by_experiment(overrides: Sequence[Override], config: DictConfig, *, is_search: bool) -> list[Override]:
    """What an experiment sweeps, as its own part of `hydra.sweeper` says, or for the same key the command line.

    The transform varies fastest, so that its arms take turns and have what else the machine does in equal parts: an
    experiment that builds on another can only add its key behind that one's. A search goes without the keys of its
    space that none of the chosen options has.
    """
    given = {override.key_or_group: override for override in overrides}
    params = sorted((config.hydra.sweeper.params or {}).items(), key=lambda item: item[0] == "transform")
    found = {key: given.get(key) or parse([f"{key}={values}"])[0] for key, values in params}

    def applies(key: str) -> bool:
        group, _, name = key.partition(".")
        if not is_search or key in given or group not in OPTIONS or not name:
            return True
        choice = found.get(group) or given.get(group)
        options = [text.partition("=")[2] for text in alternatives(choice, {})] if choice else [config[group].name]
        return any(has_key(group, option, name) for option in options)

    return [override for key, override in found.items() if applies(key)]


def validate(config: DictConfig) -> Settings:
    """Typed settings from a composed configuration.

    Raises:
        AudioidError: a key is unknown or missing, or its value is of a wrong type or out of range.
    """
    return _settings(_plain(config))


def _plain(config: DictConfig) -> dict[str, Any]:
    try:
        return cast(dict[str, Any], OmegaConf.to_container(config, resolve=True, throw_on_missing=True))
    except MissingMandatoryValue as error:
        raise AudioidError(f"{error.full_key}: is missing; give it a value") from error
    except OmegaConfBaseException as error:
        raise AudioidError(f"{error.full_key}: {_first_line(error)}; correct it") from error


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


def _check_names(overrides: Sequence[Override], options: Mapping[str, set[str]]) -> None:
    """As `check_names`; makes the chosen options of other packages known to Hydra, with their settings' values."""
    for override in overrides:
        group = override.key_or_group
        for text in alternatives(override, options) if group in OPTIONS else ():
            name = text.partition("=")[2]
            if name in registry.others(group) and not (CONF / group / f"{name}.yaml").exists():
                registry.import_option(group, name)
                fields = OPTIONS[group][name].model_fields
                node = {key: "???" if field.is_required() else field.get_default() for key, field in fields.items()}
                ConfigStore.instance().store(group=group, name=name, node={**node, "name": name})
    check_names(overrides, set(known_keys()), options)


def _checked_jobs(
    overrides: Sequence[Override], options: Mapping[str, set[str]], name: str, own: Path | None
) -> Iterator[Settings]:
    """What each job of a sweep would get, or the only one, validated.

    Hydra takes some 30 ms to compose one. It composes the first, and what each other option makes of its group; values
    are set in that. Experiments change many groups, so each of their combinations is composed.
    """
    choices, swept = sample_choices(overrides, options), swept_options(overrides, options)
    first = [texts[0] for texts in choices]
    keys = [override.key_or_group for override in overrides]
    has_experiment = "experiment" in keys
    done = set[tuple[str, ...]]()

    @cache
    def composed(texts: tuple[str, ...]) -> dict[str, Any]:
        return _plain(_composed([*_place(own), *applying(texts, swept)], name))

    for job in sample_jobs(choices, [key in swept for key in keys]):
        applied = applying(job, swept)
        if applied in done:
            continue
        done.add(applied)
        is_plain = not any("${" in text for text in job)
        kept = [text if not is_plain or (has_experiment and keys[k] in ("experiment", "transform")) else first[k]
                for k, text in enumerate(job)]  # fmt: skip
        values = deepcopy(composed(tuple(kept)))
        for k, text in enumerate(job):
            if text == kept[k] or keys[k] not in options:
                continue
            values[keys[k]] = deepcopy(composed((*kept[:k], text, *kept[k + 1 :]))[keys[k]])
        for k, text in enumerate(job):
            if text != kept[k] and text in applied and keys[k] not in options and not keys[k].startswith("hydra"):
                _set(values, keys[k], _value(text))
        yield _settings(values)


@cache
def _value(text: str) -> Any:
    return parse([text])[0].value()


def _set(values: dict[str, Any], key: str, value: Any) -> None:
    *groups, name = key.split(".")
    for group in groups:
        values = values.setdefault(group, {}) if key.startswith(f"{FREE_KEY}.") else values[group]
    if groups and name not in values and not key.startswith(FREE_KEY):
        raise AudioidError(_not_of_the_chosen(key))
    values[name] = value


def _settings(values: Mapping[str, Any]) -> Settings:
    """Settings of plain values, held to what each may be and to what they may be together."""
    parts = dict(values)
    if isinstance(parts.get("logger"), str):
        parts["logger"] = [parts["logger"]]
    for group in Settings.model_fields:
        if isinstance(parts.get(group), dict) or group in OPTIONS:
            parts[group] = checked_option(group, parts.get(group))
    settings = rules.as_shown(checked(Settings, parts, ""), read_yaml(CONF / "augment" / "auto.yaml"))
    rules.check(settings, read_yaml(CONF / "split" / f"{settings.split.name}.yaml"))
    return settings


def _place(config_dir: Path | None) -> list[str]:
    return [] if config_dir is None else [f"hydra.searchpath=[file://{config_dir.absolute().as_posix()}]"]


def _composed(texts: Sequence[str], config_name: str, *, with_hydra: bool = False) -> DictConfig:
    try:
        with initialize_config_dir(version_base=None, config_dir=str(CONF)):
            return hydra_compose(config_name, list(texts), return_hydra_config=with_hydra)
    except OmegaConfBaseException as error:
        raise AudioidError(f"{error.full_key or 'configuration'}: {_first_line(error)}; correct it") from error
    except (HydraException, ValueError) as error:
        stranger = re.match(r"Could not override '([\w.]+)'", str(error))
        if stranger is None:
            raise AudioidError(f"configuration: {_first_line(error)}; correct it") from error
        raise AudioidError(_not_of_the_chosen(stranger[1])) from error


def _launchers(config_dir: Path | None) -> set[str]:
    """Those of Hydra, its plugins and audioid, and of the user's own folder."""
    own = (config_dir / "hydra" / "launcher").glob("*.yaml") if config_dir else ()
    with initialize_config_dir(version_base=None, config_dir=str(CONF)):
        there = GlobalHydra.instance().config_loader().get_group_options("hydra/launcher")
    return {*there, *(file.stem for file in own)}


def _not_of_the_chosen(key: str) -> str:
    group, _, name = key.partition(".")
    if group == "hydra":
        of_slurm = list(read_yaml(CONF / "hydra" / "launcher" / "slurm.yaml"))
        if name.removeprefix("launcher.") in of_slurm:
            return f"{key}: not a key of the chosen launcher; hydra/launcher=slurm has it"
        *_, last = name.split(".")
        return f"{key}: no such key; {did_you_mean(last, ['n_jobs', *of_slurm])}"
    having = [f"{group}={option}" for option, schema in OPTIONS.get(group, {}).items() if name in schema.model_fields]
    return f"{key}: not a key of the chosen {group}; {' or '.join(having)} has it"


def _name(transform: str, seed: int, overrides: Sequence[str], swept: Sequence[str] | None = None) -> str:
    return run_name(transform, seed, overrides, swept, set(known_keys()))


OmegaConf.register_new_resolver("run_name", _name, replace=True)
OmegaConf.register_new_resolver("program", program, replace=True)
OmegaConf.register_new_resolver("run_seed", lambda split_seed, fold: MOST_FOLDS * split_seed + fold, replace=True)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
