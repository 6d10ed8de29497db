"""The ranks of a run, one by one."""

from collections.abc import Mapping, Sequence
from typing import Any

RANK_COLUMNS: dict[str, str] = {
    "rank": "int: the rank, from 0",
    "host": "str: the host it ran on",
    "local_rank": "int: its number among the ranks of its host",
    "device": "str: what it computed on",
    "rank_images_per_s": "float, images/s: its own throughput",
}
"""The columns of a rank: type, unit, meaning."""


def of_events(events: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the ranks that `run_start` and `run_end` of metrics.jsonl tell, by the names of RANK_COLUMNS."""
    found: dict[str, Any] = {}
    for event in events:
        found |= {name: event[name] for name in ("rank_map", "images_per_s_per_rank") if event.get(name)}
    places, rates = found.get("rank_map"), found.get("images_per_s_per_rank")
    if not isinstance(places, list):
        return []
    ranks = [{name: place.get(name) for name in RANK_COLUMNS} for place in places if isinstance(place, dict)]
    if isinstance(rates, list) and len(rates) == len(ranks):
        ranks = [rank | {"rank_images_per_s": rate} for rank, rate in zip(ranks, rates, strict=True)]
    return ranks
