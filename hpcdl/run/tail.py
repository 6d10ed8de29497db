"""Reading what is added to a file that another process writes."""

from pathlib import Path


class Tail:
    """Reads what is added to a file, in whole lines; the file need not be there yet."""

    def __init__(self, path: Path):
        self._path, self._position, self._rest = path, 0, b""

    def read(self, all_of_it: bool) -> list[str]:
        """Return the lines that were added since the last call.

        A file that became shorter was written anew, as Slurm does with the log of a requeued job: it is read from
        its beginning.

        Args:
            all_of_it: nothing more will come, so a last line without its end counts too.
        """
        try:
            with open(self._path, "rb") as file:
                if file.seek(0, 2) < self._position:
                    self._position, self._rest = 0, b""
                file.seek(self._position)
                added = file.read()
        except FileNotFoundError:
            return []
        self._position += len(added)
        *lines, self._rest = (self._rest + added).split(b"\n")
        if all_of_it and self._rest:
            lines, self._rest = [*lines, self._rest], b""
        return [line.decode("utf-8", errors="replace") for line in lines]
