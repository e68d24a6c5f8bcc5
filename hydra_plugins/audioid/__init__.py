"""The sweepers that audioid gives Hydra, and its launcher for Slurm; Hydra takes plugins out of this package alone.

The one sweeper is as Hydra's own, but that a key of one swept option is left out of the others: Hydra's would take
`transform.wavelet` to every transform of a sweep, and fail at the first that has no wavelets. And jobs that
differ in the seed alone are one job where `trainer.parallel_seeds` says so. The other searches before.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from audioid.errors import AudioidError
from audioid.jobs import PARALLEL, in_parallel, jobs_of
from audioid.overrides import parse


class ApplyingSweeper(Sweeper):
    """Hands the jobs of a sweep to whichever launcher was chosen."""

    config: DictConfig
    launcher: Launcher
    hydra_context: HydraContext

    def __init__(self, params: Any) -> None:
        """`params` are an experiment's part of the sweep, which `check_command_line` has put into the arguments."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        """The outcomes of all jobs; raises what a job raised."""
        folder = Path(self.config.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, folder / "multirun.yaml")
        try:
            return [self.runs(arguments)]
        except (KeyboardInterrupt, SystemExit):
            is_here = not str(self.config.hydra.launcher._target_).endswith(".SlurmLauncher")  # whose jobs go on
            if is_here and OmegaConf.select(self.config, PARALLEL) is not None:  # preparing a store just begins again
                from audioid.training.sweep import tell_to_go_on

                tell_to_go_on("Go on with the whole sweep", self.config)
            raise

    def runs(self, arguments: list[str]) -> Sequence[JobReturn]:
        """The outcomes of the runs that the arguments make."""
        found = jobs_of(arguments, self.hydra_context.config_loader)
        most = OmegaConf.select(self.config, PARALLEL)  # preparing a store has no such key
        if isinstance(most, int) and most > 1:
            found = in_parallel(found, most)
        return self.launch(found)

    def launch(self, found: Sequence[tuple[str, ...]]) -> Sequence[JobReturn]:
        """The outcomes of the jobs."""
        results = self.launcher.launch(found, initial_job_idx=0)
        for result in results:
            _ = result.return_value  # raises what the job raised
        return results


class SearchingSweeper(ApplyingSweeper):
    """Tries settings for each transform first, and sweeps with the best of each."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        if str(config.hydra.launcher._target_).endswith(".SlurmLauncher"):
            raise AudioidError(
                "hydra/launcher: a search knows its next trials when others have ended, so it sends no array; leave it "
                "out, and start the command in a job (docs/cluster.md)"
            )
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def runs(self, arguments: list[str]) -> Sequence[JobReturn]:
        """The outcomes of the runs that judge the best settings: one process makes them, others find them done."""
        from audioid.search.report import write  # heavy, and of use to searches alone
        from audioid.search.space import plan_of
        from audioid.search.study import Search
        from audioid.search.sweep import judging, run_trials
        from audioid.training.sweep import ShowProgress  # which knows the sweepers

        overrides, loader = parse(arguments), self.hydra_context.config_loader
        groups = {override.key_or_group for override in overrides}
        plan = plan_of(overrides, {group: loader.get_group_options(group) for group in groups})
        sweep, tune = Path(self.config.hydra.sweep.dir), self.config.tune
        best_by = self.config.trainer.best_by
        search = Search(sweep, plan.spaces, asked=plan.asked, trials=tune.trials, seed=tune.seed, best_by=best_by)
        run_trials(search, plan, self.launch, at_once=tune.at_once)
        with search.locked("judging"):
            found = judging(search, plan)
            print(write(search), flush=True)
            for callback in self.hydra_context.callbacks.callbacks:
                if isinstance(callback, ShowProgress):
                    callback.begin(self.config, found)
            return self.launch(found)


def register() -> None:
    """Makes them known to Hydra, which does not see into packages that are installed editable."""
    for sweeper in (ApplyingSweeper, SearchingSweeper):
        Plugins.instance().register(sweeper)
    if find_spec("hydra_plugins.hydra_submitit_launcher"):
        from hydra_plugins.audioid._slurm import SlurmLauncher

        Plugins.instance().register(SlurmLauncher)
