"""The configuration: every option composes, and every mistake is told in one line that says what to do."""

import re
import shlex
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from audioid.config import CONF, check_command_line, compose
from audioid.errors import AudioidError
from audioid.jobs import jobs
from audioid.overrides import check_launcher, parse
from audioid.schema import OPTIONS, Section, Settings
from audioid.validation import RENAMED

# What an option needs beside itself.
NEEDS = {
    "folder": ["data.root=somewhere"],
    "manifest": ["data.file=list.csv"],
    "custom": ["model.target=json.JSONDecoder"],
}
CHOICES = [
    (group.name, file.stem)
    for group in sorted(CONF.iterdir())
    if group.is_dir()
    for file in sorted(group.glob("*.yaml"))
]


@pytest.mark.parametrize(("group", "option"), CHOICES)
def test_every_option_of_every_group_composes(group: str, option: str) -> None:
    if option == "timm":
        pytest.importorskip("timm")
    settings = compose([f"{group}={option}", *NEEDS.get(option, [])])
    if group != "experiment":
        chosen = getattr(settings, group)
        assert isinstance(chosen, Section)
        if group in OPTIONS:
            assert chosen.model_dump()["name"] == option


def test_every_schema_has_its_yaml_and_the_other_way_round() -> None:
    for group, options in OPTIONS.items():
        assert sorted(options) == sorted(file.stem for file in (CONF / group).glob("*.yaml"))


def test_settings_are_plain_values_of_the_declared_types() -> None:
    settings = compose(["audio.seconds=2", "model.width=48"])
    assert isinstance(settings, Settings)
    assert settings.audio.seconds == 2.0
    assert isinstance(settings.audio.seconds, float)
    assert settings.model_dump()["model"]["width"] == 48


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["optimzer.lr=1"], ["optimzer.lr", "optimizer.lr"]),
        (["trainer.epochs=3"], ["trainer.epochs", "trainer.max_epochs"]),
        (["transform=wavlet"], ["transform", "wavlet", "cwt"]),
        (["-m", "transform=fft,wavlet"], ["transform", "wavlet", "cwt"]),
        (["model.width=-3"], ["model.width", "-3", "at least 1"]),
        (["-m", "model.width=32,-3"], ["model.width", "-3", "at least 1"]),
        (["model.width=wide"], ["model.width", "wide", "int"]),
        (["optimizer.lr=nan"], ["optimizer.lr", "nan"]),
        (["optimizer.momentum=0.5"], ["optimizer.momentum", "optimizer"]),
        (["audio.start=middle"], ["audio.start", "middle", "onset"]),
        (["audio.sample_rate=8000"], ["image.f_max", "4000"]),
        (["image.f_min=12000"], ["image.f_min", "image.f_max"]),
        (["split=kfold", "split.fold=5"], ["split.fold", "split.folds"]),
        (["split.group=near_duplicates"], ["split.group", "split=stratified", "split=grouped or kfold or given"]),
        (["split.test_fraction=0.6", "split.val_fraction=0.5"], ["split.test_fraction", "split.val_fraction"]),
        (["data=folder"], ["data.root"]),
        (["seed=0,1"], ["seed", "-m"]),
        (["seed=[0"], ["quote"]),
        (["~augment"], ["augment"]),
        (["experiment=null"], ["experiment", "null"]),
        (["model=null"], ["model", "null", "cnn"]),
        (["data.root="], ["data.root", "empty"]),
        (["resume="], ["resume", "empty"]),
        (["audio.seconds=" + "9" * 400], ["audio.seconds"]),
        (["transform.n_fft=1000000000"], ["transform.n_fft", "at most"]),
        (["resume=" + "x" * 400], ["resume"]),
        (["transform.wavelet=ü("], ["transform.wavelet=ü(", "quotes"]),
        (["-m", "resume=nowhere", "seed=0,1"], ["resume", "-m"]),
        (["--frobnicate"], ["--frobnicate", "--help"]),
        (["resume=nowhere"], ["resume", "nowhere"]),
        (["+new.key=1"], ["new.key"]),
        (["logger=wandbb"], ["logger", "wandbb", "mlflow"]),
        (["logger=[csv,csv]"], ["logger", "csv"]),
        (["trainer.limit_train_batches=1.5"], ["trainer.limit_train_batches", "1.5"]),
        (["trainer.profiler=fast"], ["trainer.profiler", "simple"]),
        (["trainer.precision=16"], ["trainer.precision", "16-mixed"]),
        (["trainer.gradient_clip_val=0"], ["trainer.gradient_clip_val", "greater than 0"]),
        (["-m", "--cfg", "job", "seed=0,1"], ["--cfg", "leave out -m"]),
        (["experiment=mine"], ["experiment", "mine", "original"]),
    ],
)
def test_a_mistake_is_one_line_that_names_the_key_and_a_way_on(arguments: list[str], parts: list[str]) -> None:
    with pytest.raises(AudioidError) as told:
        check_command_line(arguments)
    message = str(told.value)
    assert "\n" not in message
    assert "; " in message
    for part in parts:
        assert part in message


def test_arguments_without_mistakes_pass_unchanged() -> None:
    arguments = ["-m", "transform=fft,cwt", "seed=range(0,3)", "hydra.verbose=true"]
    assert check_command_line(arguments)[:-1] == arguments
    assert check_command_line(["transform=fft,cwt", "-m", "seed=1"])[:-1] == ["-m", "transform=fft,cwt", "seed=1"]
    assert check_command_line(["-m", "seed=1"]) == ["-m", "seed=1"]
    assert check_command_line(["--help"]) == ["--help"]
    assert check_command_line(["--cfg", "job", "model.width=8"]) == ["--cfg", "job", "model.width=8"]


@pytest.mark.parametrize("name", ["a b (1)=x,y", "it's [here]", "{odd}", "Gefäß & Co"])
def test_paths_may_hold_signs_that_mean_something_to_hydra(name: str, tmp_path: Path) -> None:
    root = tmp_path / name
    root.mkdir()
    checked = check_command_line(["data=folder", f"data.root={root}"])
    data = compose(checked).data
    assert data.root == str(root)  # type: ignore[attr-defined]


def test_a_pattern_needs_no_quotes() -> None:
    data = compose(["data=folder", "data.root=x", r"data.group_pattern=kit(\d{1,2})_[a-z]+"]).data
    assert data.group_pattern == r"kit(\d{1,2})_[a-z]+"  # type: ignore[attr-defined]


@pytest.mark.parametrize("text", ["model.arguments={hidden:64}", "model.arguments.hidden=64"])
def test_a_network_of_ones_own_takes_any_argument(text: str) -> None:
    checked = check_command_line(["model=custom", "model.target=json.JSONDecoder", text])
    assert compose(checked).model.model_dump()["arguments"] == {"hidden": 64}


def test_resume_repeats_what_the_run_was_started_with(tmp_path: Path) -> None:
    record = tmp_path / "cwt seed=3" / ".hydra" / "overrides.yaml"
    record.parent.mkdir(parents=True)
    OmegaConf.save(OmegaConf.create(["transform=cwt", "seed=3", "resume=earlier"]), record)
    run = str(record.parent.parent)
    checked = check_command_line([f"resume={run}", "trainer.max_epochs=5"])
    assert checked[:3] == ["transform=cwt", "seed=3", "trainer.max_epochs=5"]
    assert compose([text for text in checked if not text.startswith("hydra.")]).resume == run
    assert f"hydra.run.dir='{run}'" in checked


@pytest.mark.parametrize("content", ["{", "just text", "a: b", ""])
def test_a_damaged_record_is_not_resumed(content: str, tmp_path: Path) -> None:
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra" / "overrides.yaml").write_text(content)
    with pytest.raises(AudioidError, match="resume: "):
        check_command_line([f"resume={tmp_path}"])


def test_a_key_of_a_swept_option_is_swept_too() -> None:
    checked = check_command_line(["-m", "transform=cwt,ssq", "transform.wavelet=cmor1.5-1.0", "seed=1"])
    assert checked[:-1] == ["-m", "transform=cwt,ssq", "transform.wavelet=choice(cmor1.5-1.0)", "seed=1"]


def test_resume_of_a_sweep_repeats_the_sweep(tmp_path: Path) -> None:
    chosen = {"hydra": {"overrides": {"task": ["transform=fft,cwt", "seed=0,1"]}}}
    OmegaConf.save(OmegaConf.create(chosen), tmp_path / "multirun.yaml")
    checked = check_command_line([f"resume={tmp_path}"])
    assert checked[:-1] == ["--multirun", "transform=fft,cwt", "seed=0,1", f"hydra.sweep.dir='{tmp_path}'"]


def test_a_resumed_sweep_gives_its_runs_the_same_names(tmp_path: Path) -> None:
    chosen = check_command_line(["-m", "transform=cwt,ssq", "transform.wavelet=gmw20-3", "seed=0,1"])
    task = [text for text in chosen if text.partition("=")[0] in ("transform", "transform.wavelet", "seed")]
    OmegaConf.save(OmegaConf.create({"hydra": {"overrides": {"task": task}}}), tmp_path / "multirun.yaml")
    resumed = check_command_line([f"resume={tmp_path}"])
    names = [text for text in chosen if text.startswith("hydra.sweep.subdir=")]
    assert len(names) == 1
    assert [text for text in resumed if text.startswith("hydra.sweep.subdir=")] == names


def test_an_old_key_is_told_its_new_name() -> None:
    for old, new in RENAMED.items():
        with pytest.raises(AudioidError, match=f"^{old}: renamed to {new}; "):
            check_command_line([f"{old}=1"])


HOSTILE = [
    "+hydra.callbacks.x={_target_:os.makedirs,name:made}",
    "hydra.job.name=x",
    "hydra/launcher=joblib",
    "+x={_target_:os.makedirs}",
    "model.target=os.makedirs",
    "model@hydra.callbacks=cnn",
    "experiment=../../../tmp/evil",
    "model=stranger",
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("kind", ["run", "sweep"])
def test_a_folder_from_elsewhere_runs_no_code(text: str, kind: str, tmp_path: Path) -> None:
    chosen = ["transform=cwt", text]
    if kind == "run":
        (tmp_path / ".hydra").mkdir()
        OmegaConf.save(OmegaConf.create(chosen), tmp_path / ".hydra" / "overrides.yaml")
    else:
        OmegaConf.save(OmegaConf.create({"hydra": {"overrides": {"task": chosen}}}), tmp_path / "multirun.yaml")
    with pytest.raises(AudioidError, match=r"^resume: .* was started with .*; if you trust it: .* resume=.*$"):
        check_command_line([f"resume={tmp_path}"])


def test_a_record_may_not_refer_to_itself(tmp_path: Path) -> None:
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra" / "overrides.yaml").write_text("[&a seed=1, *a]")
    with pytest.raises(AudioidError, match="refers to parts of itself"):
        check_command_line([f"resume={tmp_path}"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["seed=0,1", "image.f_max=9000,12000"], "image.f_max: 12000 Hz"),
        (["seed=0,-1"], "seed: -1"),
        (["seed=range(0,3),x"], r"seed=range\(0,3\),x: cannot be swept"),
        (["split.seed=0,1,2.5"], "split.seed: 2.5"),
        (["model.width=" + ",".join(str(number) for number in range(300, -1, -1))], "model.width: 0 is out"),
        # Each value is right, and so is every pair but one.
        (["audio.sample_rate=8000,44100", "image.f_max=4000,10000"], "image.f_max: 10000 Hz"),
        (["split=kfold", "split.folds=3,5", "split.fold=0,4"], "split.fold: is 4"),
        (["hydra/sweeper=basic", "optimizer.lr=tag(log,interval(0.001,1000))"], "optimizer.lr: 1000"),
        (["transform=fft,mfcc", "transform.wavelet=mexh"], "transform.wavelet: not a key of the chosen transform"),
        (["transform=glob(*)", "transform.wavelet=mexh"], "transform.wavelet: mexh has no phase"),  # ssq
        (["seed=range(3,3)"], r"seed=range\(3,3\): holds no value"),
        (["experiment=compare", "split.folds=0"], r"split.fold=range\(0,0\): holds no value"),
        (["hydra/launcher=joblip"], "hydra/launcher: there is no 'joblip'; choose one of basic, joblib, slurm"),
        (["hydra/launcher=joblib", "hydra.launcher.n_jobs=0"], "hydra.launcher.n_jobs: '0' is no number"),
        (["hydra/launcher=joblib", "hydra.launcher.n_jobs=two"], "hydra.launcher.n_jobs: 'two' is no number"),
        (["hydra/launcher=joblib", "hydra.launcher.n_job=2"], "hydra.launcher.n_job: no such key; did you mean n_jobs"),
        (["hydra.launcher.runs_per_job=2"], "hydra.launcher.runs_per_job: not a key .*; hydra/launcher=slurm has it"),
        (["optimizer.lr=interval(0.001,0.1)"], r"optimizer.lr=interval\(0.001,0.1\): has no end of values; "),
        (["model.width=" + ",".join(str(number) for number in range(600)), "seed=0,1"], "model.width: 0 is out"),
    ],
)
def test_every_job_of_a_sweep_is_judged_at_start(arguments: list[str], message: str) -> None:
    with pytest.raises(AudioidError, match=f"^{message}"):
        check_command_line(["-m", *arguments])


def test_an_interval_is_left_to_the_sweeper() -> None:
    arguments = ["-m", "hydra/sweeper=basic", "optimizer.lr=tag(log,interval(0.001,0.1))"]
    assert check_command_line(arguments)[:-1] == arguments
    with pytest.raises(AudioidError, match=r"optimizer\.lr: several values make a sweep; add -m"):
        check_command_line(arguments[1:])


@pytest.mark.parametrize(("pattern", "problem"), [("kit(", "is no regular expression"), ("kit", "captures nothing")])
def test_a_pattern_is_judged_before_any_file_is_read(pattern: str, problem: str) -> None:
    with pytest.raises(AudioidError, match=rf"^data\.group_pattern: .*{problem}"):
        compose(["data=folder", "data.root=x", f"data.group_pattern={pattern}"])


def test_a_cluster_that_is_not_here_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AudioidError, match="sbatch"):
        check_command_line(["-m", "hydra/launcher=slurm", "seed=0,1"])


@pytest.mark.parametrize("number", ["-2", "'${oc.env:JOBS,2}'"])
def test_numbers_that_a_launcher_takes(number: str) -> None:
    chosen = ["-m", "hydra/launcher=joblib", f"hydra.launcher.n_jobs={number}", "seed=0,1"]
    assert set(chosen) <= set(check_command_line(chosen))
    check_launcher(parse(["hydra.launcher.cpus_per_task=null"]), ["slurm"], is_sweep=True)


def test_a_launcher_of_ones_own_folder(tmp_path: Path) -> None:
    (tmp_path / "hydra" / "launcher").mkdir(parents=True)
    (tmp_path / "hydra" / "launcher" / "mine.yaml").write_text("_target_: hydra._internal.core_plugins.basic\n")
    assert "hydra/launcher=mine" in check_command_line(
        ["--config-dir", str(tmp_path), "-m", "hydra/launcher=mine", "seed=0,1"]
    )


def test_one_run_is_not_sent_by_a_launcher() -> None:
    with pytest.raises(AudioidError, match="hydra/launcher: is for the runs of a sweep; add -m"):
        check_command_line(["hydra/launcher=joblib", "seed=1"])


def test_options_of_ones_own_folder(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text("name: cnn\nwidth: 8\ndepth: 2\ndropout: 0.0\n")
    arguments = ["--config-dir", str(tmp_path), "model=mine"]
    assert check_command_line(arguments) == arguments
    with pytest.raises(AudioidError, match="there is no 'mine'"):
        check_command_line(["model=mine"])
    (tmp_path / "model" / "mine.yaml").write_text("name: cnn\nwidth: 0\ndepth: 2\ndropout: 0.0\n")
    with pytest.raises(AudioidError, match=r"model\.width: 0"):
        check_command_line(arguments)


def test_a_name_of_one_s_own_is_kept() -> None:
    arguments = ["-m", "seed=0,1", "hydra.sweep.subdir=mine"]
    assert check_command_line(arguments) == arguments


def test_several_loggers_are_a_list_and_one_needs_none() -> None:
    assert compose([]).logger == ["tensorboard"]
    assert compose(["logger=[tensorboard,csv]"]).logger == ["tensorboard", "csv"]


def test_where_things_are_stored_is_not_taken_from_a_folder(tmp_path: Path) -> None:
    (tmp_path / ".hydra").mkdir()
    OmegaConf.save(
        OmegaConf.create(["seed=1", "store.root=/victim", "store.max_gib=0.01"]), tmp_path / ".hydra" / "overrides.yaml"
    )
    checked = check_command_line([f"resume={tmp_path}"])
    assert checked[0] == "seed=1"
    assert not [text for text in checked if text.startswith("store.")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model=original", "image.size=12"], "image.size: 12 is too small for model=original"),
        (["model=custom", "model.target=Tiny"], "model.target=Tiny: is no dotted name"),
        (["model=custom", "model.target=no_such.Tiny"], "model.target=no_such.Tiny: there is no module no_such"),
        (["-m", "trainer.devices=2", "seed=0,1"], "trainer.devices: a sweep gives each run one device"),
        (["trainer.precision=16-mixed", "trainer.accelerator=cpu"], "trainer.precision: 16-mixed needs a GPU"),
        (["transform=cwt", "transform.scales=[1,100000000]"], "transform.scales: "),
        (["model.depth=8", "image.size=8", "data.batch_size=1"], "data.batch_size: "),
        (["trainer.best_by=val_accuracy", "split.val_fraction=0"], "trainer.best_by: needs a validation part"),
        (["trainer.best_by=val_accuracy", "experiment=original"], "trainer.best_by: needs a validation part"),
        (["model.depth=2", "model.blocks=3"], "model.blocks: 3 come after the last of 2 convolutions"),
        (["--config-dir", "nonesuch"], "--config-dir: nonesuch is no folder"),
        (["~experiment"], "~experiment: a key cannot be taken away"),
        (["transform=cwt", "transform.wavelet=gmw0.001-0.001"], "transform.wavelet: there is no 'gmw0.001-0.001'"),
    ],
)
def test_what_needs_no_recordings_is_judged_before_any_is_read(arguments: list[str], message: str) -> None:
    with pytest.raises(AudioidError, match=f"^{re.escape(message)}"):
        check_command_line(arguments)


def test_seeds_do_not_make_a_sweep_slow_to_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[object] = []
    monkeypatch.setattr("audioid.rules.check", lambda *given: judged.append(given))
    check_command_line(
        ["-m", "model=cnn,original", "seed=range(0,1000)", "split.seed=range(0,1000)", "optimizer=sgd,adamw"]
    )
    assert len(judged) < 20


def test_a_wrong_pair_is_found_in_the_largest_sweep() -> None:
    many = [
        "transform.n_fft=2048,512",
        "transform.win_length=256,1024",
        "model.width=" + ",".join(map(str, range(1, 300))),
    ]
    with pytest.raises(AudioidError, match="win_length"):
        check_command_line(["-m", *many])


def test_two_keys_of_many_values_are_judged_in_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[object] = []
    monkeypatch.setattr("audioid.rules.check", lambda *given: judged.append(given))
    check_command_line(["-m", "model.width=range(1,300)", "data.per_class=range(1,300)"])
    assert len(judged) < 1000


def test_a_resumed_sweep_may_go_to_another_launcher(tmp_path: Path) -> None:
    OmegaConf.save(OmegaConf.create({"hydra": {"overrides": {"task": ["seed=0,1"]}}}), tmp_path / "multirun.yaml")
    assert "hydra/launcher=joblib" in check_command_line([f"resume={tmp_path}", "hydra/launcher=joblib"])


SWEPT = {"split.seed": "0,1", "split.fold": "range(0,5)", "transform": "fft,cwt"}


@pytest.mark.parametrize(
    ("more", "swept"),
    [
        ([], SWEPT),
        (["split.folds=3", "seed=9"], SWEPT | {"split.fold": "range(0,3)"}),
        (
            ["transform=fft,cwt,cqt", "split.seed=0,1,2,3"],
            SWEPT | {"transform": "fft,cwt,cqt", "split.seed": "0,1,2,3"},
        ),
        (
            ["split.fold=0", "transform=cwt,ssq", "transform.wavelet=gmw20-3"],
            SWEPT | {"split.fold": "0", "transform": "cwt,ssq"},
        ),
    ],
)
def test_an_experiment_that_holds_a_sweep_is_one_and_the_command_line_beats_it(
    more: list[str], swept: dict[str, str]
) -> None:
    checked = check_command_line(["experiment=compare", *more])
    assert checked == ["--multirun", *check_command_line(["experiment=compare", *more, "-m"])[1:]]
    assert {key: value for key, _, value in (text.partition("=") for text in checked) if key in SWEPT} == swept
    assert [text for text in checked if text.startswith("seed=")] == [text for text in more if text.startswith("seed=")]


def test_an_experiment_of_ones_own_may_build_on_another_and_sweep_more(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(
        "# @package _global_\ndefaults: [compare]\nhydra: {sweeper: {params: {image.size: '32,64'}}}\n"
    )
    checked = check_command_line(["--config-dir", str(tmp_path), "experiment=mine"])
    assert "image.size=32,64" in checked
    assert "split.seed=0,1" in checked
    with pytest.raises(AudioidError, match=r"image\.size: 4 is out"):
        check_command_line(["--config-dir", str(tmp_path), "experiment=mine", "image.size=32,4"])


@pytest.mark.parametrize("experiment", ["compare", "depth", "image_size", "learning_curve", "width", "mine"])
@pytest.mark.parametrize("more", [[], ["model.blocks=0,1"]])
def test_the_arms_of_an_experiment_take_turns(tmp_path: Path, experiment: str, more: list[str]) -> None:
    """Each job is followed by its partner, which differs in the transform alone."""
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(
        "# @package _global_\ndefaults: [width]\nhydra: {sweeper: {params: {optimizer.lr: '0.01,0.02'}}}\n"
    )
    checked = check_command_line([f"--config-dir={tmp_path}", f"experiment={experiment}", *more])
    found = jobs(parse([text for text in checked if not text.startswith(("-", "hydra."))]), {})
    transforms = [text for job in found for text in job if text.startswith("transform=")]
    assert transforms == ["transform=fft", "transform=cwt"] * (len(found) // 2)
    others = [{text for text in job if not text.startswith("transform=")} for job in found]
    assert others[::2] == others[1::2]


def test_one_job_s_configuration_is_shown_without_the_sweep() -> None:
    arguments = ["--cfg", "job", "experiment=compare"]
    assert check_command_line(arguments) == arguments


def test_a_sweep_goes_on_as_it_was_begun_whatever_its_experiment_says_by_then(tmp_path: Path) -> None:
    chosen = {"hydra": {"overrides": {"task": ["experiment=compare", "transform=fft,cwt", "split.fold=1"]}}}
    OmegaConf.save(OmegaConf.create(chosen), tmp_path / "multirun.yaml")
    checked = check_command_line([f"resume={tmp_path}"])
    assert checked[:4] == ["--multirun", "experiment=compare", "transform=fft,cwt", "split.fold=1"]
    assert not [text for text in checked if text.startswith("split.seed=")]


def test_a_path_alone_is_told_what_it_may_be_for(tmp_path: Path) -> None:
    folder, listing = tmp_path / "my [best] drums", tmp_path / "list.csv"
    folder.mkdir()
    listing.write_text("path,label")
    for path, group, key in ((folder, "data=folder", "data.root"), (listing, "data=manifest", "data.file")):
        with pytest.raises(AudioidError) as told:
            compose([str(path)])
        assert str(told.value).startswith(f"{path}: is a fi" if path == listing else f"{path}: is a folder")
        advice = shlex.split(str(told.value).partition("write ")[2])
        assert advice == [group, f"{key}={path}"]
        compose(advice)
    with pytest.raises(AudioidError, match="write key=value"):
        compose([str(tmp_path / "none")])
