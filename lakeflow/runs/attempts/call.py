"""The caller's function and its arguments, checked before anything runs."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lakeflow.names import check_run_id
from lakeflow.runs.attempts.attempt import Job
from lakeflow.runs.attempts.fingerprint import fingerprint
from lakeflow.runs.plan import check_params, function_name, pickle_function, shell_options
from lakeflow.table import Table
from lakeflow_engines.frames import parameter_kinds, to_arrow
from lakeflow_engines.shared import encode_shared
from lakeflow_io.errors import FunctionError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

    from lakeflow.runs.outputs.outputs import Outputs
    from lakeflow_engines.shared import SharedTable

__all__ = ["Call"]


class Call:
    """A function, checked against the arguments that it is going to get."""

    def __init__(
        self,
        function: Callable[..., Any],
        run_id: str,
        params: Mapping[str, Any] | None,
        shared: Mapping[str, Any] | None,
    ) -> None:
        self.kinds = parameter_kinds(function)
        self.function = function
        self.name = function_name(function)
        self.run_id = check_run_id(run_id)
        self.params = check_params(params)
        if not isinstance(shared or {}, Mapping):
            raise InputError(f"shared= is a {type(shared).__name__}.", 'write shared={"name": table}.')
        self._check_arguments([*self.params, *(shared or {})])
        self.tables = {name: _as_table(name, value) for name, value in (shared or {}).items()}

    def _check_arguments(self, given: list[str]) -> None:
        """Bind as a task will, so that a wrong call shows before anything runs."""
        twice = {name for name in given if given.count(name) > 1}
        if twice:
            raise InputError(f"params= and shared= both give {sorted(twice)}.", "give each parameter once.")
        try:
            inspect.signature(self.function).bind(None, **dict.fromkeys(given))
        except TypeError as error:
            raise FunctionError(
                f"{self.name} can't be called with a shard and {given or 'nothing else'}: {error}.",
                "give its other parameters with params= (JSON) or shared= (tables).",
            ) from error

    @property
    def code_hash(self) -> str:
        """A hash of the function and what it carries."""
        return fingerprint(self.function)

    def encode_shared(self, folder: str, store: Mapping[str, str]) -> list[tuple[SharedTable, memoryview]]:
        """The shared tables as tasks will carry them, with their bytes; the tables themselves are let go."""
        encoded = [encode_shared(name, table, folder, store) for name, table in self.tables.items()]
        self.tables.clear()
        return encoded

    def job(
        self,
        shared: tuple[SharedTable, ...],
        outputs: Outputs | None,
        folder: str,
        *,
        deadline: float | None = None,
        conditional: bool = True,
    ) -> Job:
        """What all attempts carry.

        Args:
            shared: As `encode_shared` gives them.
            outputs: What is written into; None where values are sent back.
            folder: URI of the run's folder.
            deadline: Seconds that an attempt may take before it is asked to end.
            conditional: Whether its store has conditional writes.
        """
        return Job(
            run_id=self.run_id,
            function=pickle_function(self.function),
            function_name=self.name,
            kinds=self.kinds,
            params=self.params,
            shared=shared,
            writers={name: sink.writer() for name, sink in outputs.sinks.items()} if outputs else {},
            named=outputs is not None and outputs.named,
            folder=folder,
            store=outputs.first.store_properties if outputs else {},
            conditional=conditional,
            deadline=deadline,
            shell_options=shell_options(outputs.describe()) if outputs else "",
        )


def _as_table(name: str, value: Any) -> pa.Table:
    if isinstance(value, Table):
        value = value.scan().read()
    return to_arrow(value, f"shared[{name!r}]")
