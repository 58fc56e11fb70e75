"""The caller's function and its arguments, checked before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lakeflow.runs.attempt import Job
from lakeflow.runs.journal import check_run_id
from lakeflow.runs.plan import check_params, code_hash, function_name, pickle_function
from lakeflow.table import Table
from lakeflow_engines.frames import parameter_kinds, to_arrow
from lakeflow_engines.shared import encode_shared
from lakeflow_io.errors import FunctionError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pyarrow as pa

    from lakeflow.runs.sink import Sink
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
        self.tables = {name: _as_table(name, value) for name, value in (shared or {}).items()}
        for name in [*self.params, *self.tables]:
            if name not in list(self.kinds)[1:]:
                raise FunctionError(
                    f"{self.name} has no parameter {name!r}, which params= or shared= gives it.",
                    "its parameters after the first are " + (", ".join(list(self.kinds)[1:]) or "none") + ".",
                )

    @property
    def code_hash(self) -> str:
        """A hash of the function's source."""
        return code_hash(self.function)

    def encode_shared(self, folder: str, store: Mapping[str, str]) -> list[tuple[SharedTable, memoryview]]:
        """The shared tables as tasks will carry them, with their bytes; the tables themselves are let go."""
        encoded = [encode_shared(name, table, folder, store) for name, table in self.tables.items()]
        self.tables.clear()
        return encoded

    def job(self, shared: tuple[SharedTable, ...], sink: Sink | None, folder: str) -> Job:
        """What all attempts carry."""
        return Job(
            run_id=self.run_id,
            function=pickle_function(self.function),
            function_name=self.name,
            kinds=self.kinds,
            params=self.params,
            shared=shared,
            writer=sink.writer() if sink else None,
            folder=folder,
            store=sink.store_properties if sink else {},
        )


def _as_table(name: str, value: Any) -> pa.Table:
    if isinstance(value, Table):
        value = value.scan().read()
    return to_arrow(value, f"shared[{name!r}]")
