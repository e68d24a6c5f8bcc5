"""The sweeper that audioid gives Hydra, and its launcher for Slurm; Hydra takes plugins out of this package alone.

The sweeper is as Hydra's own, but that a key of one swept option is left out of the others: Hydra's would take
`transform.wavelet` to every transform of a sweep, and fail at the first that has no wavelets. And jobs that
differ in the seed alone are one job where `trainer.parallel_seeds` says so.
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

from audioid.jobs import PARALLEL, in_parallel, jobs_of


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
        found = jobs_of(arguments, self.hydra_context.config_loader)
        most = OmegaConf.select(self.config, PARALLEL)  # preparing a store has no such key
        if isinstance(most, int) and most > 1:
            found = in_parallel(found, most)
        results = self.launcher.launch(found, initial_job_idx=0)
        for result in results:
            _ = result.return_value  # raises what the job raised
        return [results]


def register() -> None:
    """Makes both known to Hydra, which does not see into packages that are installed editable."""
    Plugins.instance().register(ApplyingSweeper)
    if find_spec("hydra_plugins.hydra_submitit_launcher"):
        from hydra_plugins.audioid._slurm import SlurmLauncher

        Plugins.instance().register(SlurmLauncher)
