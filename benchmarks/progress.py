"""A bar on stderr that moves only between measurements: one that redraws itself would be measured too."""

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress


class Progress:
    """Counts steps towards a total; gone when it is done."""

    def __init__(self, steps: int) -> None:
        columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
        self.bar = RichProgress(*columns, console=Console(stderr=True), auto_refresh=False, transient=True)
        self.task = self.bar.add_task("", total=steps)

    def __enter__(self) -> "Progress":
        """Show it."""
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take it away."""
        self.bar.stop()

    def step(self, description: str) -> None:
        """One more is done."""
        self.bar.update(self.task, advance=1, description=description, refresh=True)
