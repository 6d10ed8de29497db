"""The folder of a chain: `runs/NAME-TIME/` with `chain.json`, and in a folder each its stages, the queue, the ranking.

chain.json            schema (1), id, site, file (the chain file's path), digest, chain (the whole chain, jobs and all)
STAGE/                the run, or the array of runs, of a stage; `hpcdl status` finds it there
queue/STAGE[/POINT]   is there as soon as the model of that run can be taken
STAGE/results/        of a stage that takes models: a folder and a .json for each (queue.py)
ranking/              the run of the ranking; ranking.csv and ranking.json beside it are its result
"""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from hpcdl.chain.chainfile import Chain, ChainFileError
from hpcdl.errors import RunError
from hpcdl.files import locked, write_atomically
from hpcdl.run.folder import make_new
from hpcdl.run.record import CHAIN_FILE

RANKING = "ranking"


@dataclass(frozen=True)
class ChainFolder:
    """A chain that was begun."""

    path: Path
    """Absolute."""
    id: str
    site: str
    file: Path
    """The chain file."""
    chain: Chain

    @property
    def queue(self) -> Path:
        """The folder in which models appear that can be taken."""
        return self.path / "queue"

    def stage(self, name: str) -> Path:
        """The folder of a stage's runs."""
        return self.path / name


def make_chain_folder(chain: Chain, file: Path, site: str, runs: Path) -> ChainFolder:
    """Make the folder of a new chain.

    Raises:
        RunError: it cannot be made.
    """
    try:
        chain_id = make_new(runs.absolute(), chain.name, datetime.now().strftime("%Y%m%d-%H%M%S"))
        path = runs.absolute() / f"{chain.name}-{chain_id}"
        known = {"schema": 1, "id": chain_id, "site": site, "file": str(file.absolute()), "digest": chain.digest}
        write_atomically(path / CHAIN_FILE, json.dumps({**known, "chain": chain.model_dump(mode="json")}, indent=1))
    except OSError as fault:
        raise RunError(f"{runs}: no chain's folder can be made ({fault.strerror}). Choose one by --runs.") from None
    return ChainFolder(path, chain_id, site, file.absolute(), chain)


def read_chain_folder(path: Path) -> ChainFolder:
    """Return the chain in a folder.

    Raises:
        ChainFileError: there is none, or it is damaged.
    """
    try:
        known = json.loads((path / CHAIN_FILE).read_text(encoding="utf-8"))
        chain = Chain.model_validate(known["chain"])
        return ChainFolder(path.absolute(), known["id"], known["site"], Path(known["file"]), chain)
    except OSError:
        raise ChainFileError(
            f"{path}: holds no chain (no {CHAIN_FILE}). Give a chain file, or a chain's folder."
        ) from None
    except (ValueError, KeyError, TypeError, ValidationError):
        raise ChainFileError(f"{path / CHAIN_FILE}: is damaged, or of another version of hpcdl.") from None


def find_chain_folder(chain: Chain, site: str, runs: Path) -> ChainFolder | None:
    """Return the newest folder of this very chain at this site, None where it was not begun yet."""
    for path in sorted(runs.glob(f"{chain.name}-*/{CHAIN_FILE}"), reverse=True):
        with contextlib.suppress(ChainFileError):
            found = read_chain_folder(path.parent)
            if (found.chain.digest, found.site) == (chain.digest, site):
                return found
    return None


@contextlib.contextmanager
def alone(runs: Path) -> Iterator[None]:
    """Let nobody else start chains in `runs` meanwhile: two commands at once would submit twice.

    Raises:
        RunError: another one is at work, or the folder cannot be written.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(runs / ".chains.lock"))
        except BlockingIOError:
            raise RunError(f"another `hpcdl chain` is at work in {runs}; try again when it has ended.") from None
        except OSError as fault:
            raise RunError(f"{runs}: cannot be written ({fault.strerror}). Choose another place by --runs.") from None
        yield
