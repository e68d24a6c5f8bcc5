"""Sweeps on Slurm, as jobs of several runs each; Hydra looks for no plugins in modules whose names begin so, which
lets submitit be missing where nobody asks for it.

The jobs are one array. Another job waits for all of them and does what is to be done at a sweep's end, so that the
shell that sent them may be closed. A job that Slurm begins again, after a time-out, a preemption or the loss of its
machine, has the same runs: those that have ended say so, and the one that was stopped goes on from its checkpoint.
"""

import re
import secrets
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import fields
from io import StringIO
from pathlib import Path
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, setup_globals
from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf
from hydra_plugins.hydra_submitit_launcher.submitit_launcher import SlurmLauncher as OneRunPerJob

from audioid.errors import AudioidError

LOOK_EVERY = 0.2  # seconds between looks for the last job's result
ASK_EVERY = 30.0  # seconds between questions to Slurm, which serves others too

# What Slurm writes into a job's log, whether it looks at the memory now and then or has the kernel guard it. Its states
# are no source: those of a job whose one step was killed say only that it failed, and are forgotten after minutes.
NO_MEMORY = re.compile(r"^(?:slurmstepd\S*|srun): error: .*(?:memory limit|oom.kill|out of memory)", re.I | re.M)

SHARED = {field.name for field in fields(BaseQueueConf)}  # parameters that submitit has for any kind of cluster
Run = tuple[list[str], str, int, str, Mapping[type, Singleton]]  # what submitit's launcher takes for one run


class SlurmLauncher(OneRunPerJob):
    """Puts `runs_per_job` runs into each job, one after another in the same process, which imports PyTorch once."""

    def __init__(self, *, runs_per_job: int, max_num_timeout: int, submitit_folder: str, **slurm: Any) -> None:
        """`slurm` are parameters of sbatch, under the names that submitit has for them."""
        super().__init__(**slurm)
        if type(runs_per_job) is not int or runs_per_job < 1:
            raise AudioidError(f"hydra.launcher.runs_per_job: {runs_per_job} is no number from 1 on; correct it")
        self.runs_per_job, self.max_num_timeout, self.folder = runs_per_job, max_num_timeout, submitit_folder

    def __call__(self, runs: Sequence[Run]) -> list[JobReturn]:
        """The outcomes of the runs of a job, in order."""
        try:
            return [super(SlurmLauncher, self).__call__(*run) for run in runs]
        except SystemExit as stop:
            if stop.code is not None:  # as Lightning's has none, which ends a run that was asked to, by SIGTERM
                raise
        while True:  # Slurm begins a job again that it had to kill, and none that ended when it was asked to
            time.sleep(ASK_EVERY)
            if _is_to_go_on():
                sys.exit("Stopped by SIGTERM, which was not Slurm's.")

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        """The outcomes of all runs, once the last job has ended.

        Raises:
            AudioidError: Slurm does not take the jobs, or some of them ended before their runs did.
            SystemExit: at its end the sweep told what is missing or failed.
        """
        from submitit import AutoExecutor  # heavy, and of no use to other launchers
        from submitit.core.utils import FailedJobError, FailedSubmissionError

        state = Singleton.get_state()
        runs = [
            (list(texts), "hydra.sweep.dir", number, str(number), state)
            for number, texts in enumerate(job_overrides, start=initial_job_idx)
        ]
        count = -(-len(runs) // self.runs_per_job)
        dealt = [runs[first::count] for first in range(count)]  # the longer runs of one arm come to all jobs
        # What comes of jobs is read as pickles, which run code: out of a folder that nobody could have filled before.
        folder = Path(self.folder) / secrets.token_hex(8) / "%j"
        executor = AutoExecutor(cluster="slurm", folder=folder, slurm_max_num_timeout=self.max_num_timeout)
        array = ""
        try:
            executor.update_parameters(
                **{key if key in SHARED else f"slurm_{key}": value for key, value in self.params.items()}
            )
            jobs = executor.map_array(self, dealt)
            array = jobs[0].job_id.partition("_")[0]
            executor.update_parameters(slurm_dependency=f"afterany:{array}")
            folders = [job.paths.folder for job in jobs]
            last = executor.submit(self.end, state, folders)
        except (FailedJobError, FailedSubmissionError, ValueError, AssertionError) as error:
            if array:  # or its runs would go on, and be in the way of those that are sent after mending
                subprocess.run(["scancel", array], check=False)
            raise AudioidError(
                f"hydra.launcher: Slurm does not take the jobs: {' '.join(str(error).split())}"
            ) from error
        print(f"  {len(runs)} in {count} jobs of Slurm: {array}, and {last.job_id} for the end of all", flush=True)
        print(f"  {last.paths.folder.parent} has what they print; this shell may be closed", flush=True)
        try:
            _wait_for(last, array)
        except KeyboardInterrupt:
            print(f"  the jobs go on; scancel {array} {last.job_id} ends them", flush=True)
            raise
        outcomes = list[JobReturn | None]([None] * len(runs))
        lost = list[str]()
        for first, job in enumerate(jobs):
            if _has_result(job):
                outcomes[first::count] = job.result()
            else:
                lost.append(job.job_id)
        if _has_result(last):
            status, printed, errors = last.result()
            _tell(printed, errors)
        else:
            status, *_ = self.end(state, folders)
        self.hydra_context.callbacks.callbacks.clear()  # or Hydra would do here what is to be done at the end, again
        if status:
            raise SystemExit(status)
        if lost:
            raise AudioidError(
                f"Slurm: the jobs {', '.join(lost)} ended before what they were to do; see {last.paths.folder.parent}"
            )
        return [outcome for outcome in outcomes if outcome]

    def end(self, state: Mapping[type, Singleton], folders: Sequence[Path]) -> tuple[int, str, str]:
        """Does what the program does when a sweep has ended, such as to compare; its exit status and what it told, on
        both streams. `folders` are those of the jobs."""
        Singleton.set_state(state)
        setup_globals()
        status, printed, errors = 0, StringIO(), StringIO()
        with redirect_stdout(printed), redirect_stderr(errors):
            try:
                self.hydra_context.callbacks.on_multirun_end(
                    config=self.config, config_name=self.config.hydra.job.config_name
                )
            except SystemExit as stop:
                status = int(stop.code or 0)
        told = _killed_for_memory(folders) + errors.getvalue()
        _tell(printed.getvalue(), told)
        return status, printed.getvalue(), told


def _tell(printed: str, errors: str) -> None:
    print(printed, end="", flush=True)
    print(errors, end="", file=sys.stderr, flush=True)


def _killed_for_memory(folders: Sequence[Path]) -> str:
    """A line on the jobs that Slurm killed for their memory, and did not begin again; nothing where there are none."""
    without_result = [folder for folder in folders if not any(folder.glob("*_result.pkl"))]
    logs = [log for folder in without_result for log in folder.glob("*_log.*") if _has_no_memory(log)]
    if not logs:
        return ""
    job = logs[0].parent.name
    who = f"the job {job} was" if len(logs) == 1 else f"{len(logs)} jobs, such as {job}, were"
    return f"error: Slurm: {who} killed for memory; ask for more: hydra.launcher.mem_gb ({logs[0]})\n"


def _has_no_memory(log: Path) -> bool:
    return NO_MEMORY.search(log.read_text(encoding="utf-8", errors="replace")) is not None


def _is_to_go_on() -> bool:
    """Whether Slurm is not about to kill the job of this process: it neither ends it nor makes room for another."""
    from submitit import JobEnvironment

    known = subprocess.run(
        ["scontrol", "show", "job", JobEnvironment().job_id], capture_output=True, text=True, check=False
    )
    return "JobState=RUNNING" in known.stdout and not re.search("PreemptTime=[0-9]", known.stdout)


def _has_result(job: Any) -> bool:
    """Without one submitit would wait for it, for ever where Slurm keeps no accounts."""
    return job.paths.result_pickle.exists() and job.exception() is None


def _wait_for(job: Any, array: str) -> None:
    """Returns when a job of Slurm has ended, with a result or without one; tells what becomes of it and the array."""
    asked, told = -ASK_EVERY, ""
    while not job.paths.result_pickle.exists():
        time.sleep(LOOK_EVERY)
        if time.monotonic() - asked < ASK_EVERY:
            continue
        asked = time.monotonic()
        queue = subprocess.run(
            ["squeue", "--noheader", "--array", "--format=%T (%r)", "--jobs", f"{array},{job.job_id}"],
            capture_output=True,
            text=True,
            check=False,
        )
        lines = [line.removesuffix(" (None)") for line in queue.stdout.splitlines()]
        if (queue.returncode == 0 and not lines) or "Invalid job id" in queue.stderr:
            return
        now = ", ".join(f"{count} {state}" for state, count in sorted(Counter(lines).items()))
        if now and now != told:
            print(f"  jobs: {now}", flush=True)
            told = now
