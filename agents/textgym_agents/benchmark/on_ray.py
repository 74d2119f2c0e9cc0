"""Runs of a benchmark on the machines of a Ray cluster."""

import json
from typing import Any

from textgym.errors import ConfigError, MissingExtraError
from textgym_agents.benchmark.places import Ended, Job, settings

LOCAL = "local"
TRIES = 4  # of a run whose worker dies


class OnRay:
    """A Ray cluster, see https://docs.ray.io/en/latest/ray-core/tasks.html.

    A job is JSON in and JSON out, and only this process writes results: the cluster needs no shared file system, but
    the same packages on each machine. A run whose worker or machine dies is done again.

    Args:
        address: "local" starts Ray on this machine; else as for ``ray.init``, such as "auto" or "ray://host:10001".
        threads: of torch in each run, which are the CPUs that it takes up.
        jobs: runs at once. None: as many as the cluster has CPUs for.

    Raises:
        MissingExtraError: Ray isn't installed.
        ConfigError: there is no cluster at the address.
    """

    def __init__(self, address: str, threads: int, jobs: int | None = None) -> None:
        try:
            import ray
        except ImportError as error:
            raise MissingExtraError("textgym benchmark --ray", "ray") from error
        self.ray: Any = ray
        self.began = not ray.is_initialized()
        if self.began:
            options: dict[str, Any] = {} if address == LOCAL else {"address": address}
            if address == LOCAL and jobs is not None:
                options["num_cpus"] = jobs * threads
            try:
                ray.init(**options, include_dashboard=False if address == LOCAL else None, log_to_driver=False)
            except (ConnectionError, ValueError, OSError, RuntimeError) as error:
                raise ConfigError(f"--ray {address}: {error}") from error
        remote: Any = ray.remote(_do)
        self.remote = remote.options(
            num_cpus=threads, max_retries=TRIES - 1, runtime_env={"env_vars": settings(threads)}
        )
        self.count = jobs or max(1, int(self.ray.cluster_resources().get("CPU", 1)) // threads)
        self.running: dict[Any, Job] = {}

    @property
    def has_room(self) -> bool:
        return len(self.running) < self.count

    def begin(self, job: Job) -> None:
        # Folders of this machine mean nothing to another.
        content = {name: value for name, value in json.loads(job.to_json()).items() if name not in ("work", "log")}
        self.running[self.remote.remote(json.dumps(content))] = job

    def ended(self) -> list[Ended]:
        if not self.running:
            return []
        done, _ = self.ray.wait([*self.running], num_returns=1, timeout=0)
        return [(self.running.pop(one), self._result(one)) for one in done]

    def _result(self, reference: Any) -> dict[str, Any] | str:
        try:
            found: dict[str, Any] = json.loads(self.ray.get(reference))
        except self.ray.exceptions.RayError as error:
            return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        return found

    def close(self) -> None:
        for reference in self.running:
            self.ray.cancel(reference, force=True)
        if self.began:
            self.ray.shutdown()


def _do(job: str) -> str:
    """What a worker of the cluster does."""
    from textgym_agents.benchmark.run import do

    return do(job)
